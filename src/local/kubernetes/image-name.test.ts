import assert from 'node:assert/strict';
import { test } from 'node:test';

import { fullImageName } from './image-name.ts';

void test('fullImageName gives the registry, library and tag that a short name leaves out', () => {
  const full = {
    nginx: 'docker.io/library/nginx:latest',
    'nginx:1.27': 'docker.io/library/nginx:1.27',
    'romana/agent': 'docker.io/romana/agent:latest',
    'quay.io/a/b': 'quay.io/a/b:latest',
    'localhost/a:1': 'localhost/a:1',
    'registry:5000/a': 'registry:5000/a:latest',
    'docker.io/library/nginx:latest': 'docker.io/library/nginx:latest',
  };
  for (const [name, expected] of Object.entries(full)) assert.equal(fullImageName(name), expected);
});

void test('fullImageName adds no tag to a digest', () => {
  assert.equal(fullImageName(`a@sha256:${'0'.repeat(64)}`), `docker.io/library/a@sha256:${'0'.repeat(64)}`);
});
