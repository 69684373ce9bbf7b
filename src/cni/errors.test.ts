import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CniFailure, cniError, cniErrorOf, errorJson } from './errors.ts';

test('errorJson has what the CNI spec asks for', () => {
  const error = cniError('tryAgainLater', 'no ids yet', 'for tenant-a');
  assert.deepEqual(errorJson(error, '0.4.0'), {
    cniVersion: '0.4.0',
    code: 11,
    msg: 'no ids yet',
    details: 'for tenant-a',
  });
  assert.deepEqual(errorJson(cniError('notAvailable', 'full')), { cniVersion: '1.1.0', code: 50, msg: 'full' });
});

test('cniErrorOf keeps the error of a CniFailure', () => {
  const error = cniError('unknownContainer', 'no such netns');
  assert.equal(cniErrorOf(new CniFailure(error), 'could not add'), error);
});

test('cniErrorOf tells the causes of any other error', () => {
  const thrown = new Error('link', { cause: new Error('EPERM', { cause: 'seccomp' }) });
  assert.deepEqual(cniErrorOf(thrown, 'could not add'), {
    code: 100,
    msg: 'could not add: link',
    details: 'EPERM: seccomp',
  });
});

test('cniErrorOf survives what is no error, and causes that go round', () => {
  for (const thrown of [undefined, null, 5, {}, 'text', Symbol('x')]) {
    assert.equal(cniErrorOf(thrown, 'could not add').code, 100);
  }
  const round = new Error('round');
  round.cause = round;
  assert.match(cniErrorOf(round, 'could not add').details ?? '', /^round: round/);
});
