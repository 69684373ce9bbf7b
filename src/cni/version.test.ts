import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CNI_VERSIONS, atLeast, parseVersion } from './version.ts';

test('parseVersion knows 0.3.1 to 1.1.0 and nothing else', () => {
  for (const version of ['0.3.1', '0.4.0', '1.0.0', '1.1.0']) assert.equal(parseVersion(version), version);
  for (const version of ['0.1.0', '0.2.0', '0.3.0', '1.2.0', '1.1', ' 1.1.0', '', undefined, 1, {}]) {
    assert.equal(parseVersion(version), undefined);
  }
});

test('atLeast orders the versions as they are listed', () => {
  for (const [i, a] of CNI_VERSIONS.entries()) {
    for (const [j, b] of CNI_VERSIONS.entries()) assert.equal(atLeast(a, b), i >= j);
  }
});
