import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError, UnansweredError } from '../kube/client.ts';
import { errorForLog } from './daemon.ts';

test('errorForLog makes one line of what the API server does, and shows the stack of all else', () => {
  const cause = new Error('connect ECONNREFUSED');
  assert.equal(
    errorForLog(new UnansweredError('GET /x: connect ECONNREFUSED', { cause })),
    'GET /x: connect ECONNREFUSED',
  );
  assert.equal(errorForLog(new ApiError({ status: 503, message: 'etcd is away' })), 'etcd is away');
  assert.match(JSON.stringify(errorForLog(new TypeError('a bug'))), /a bug.*daemon\.test\.ts/);
});
