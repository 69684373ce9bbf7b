import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError, UnansweredError } from '../kube/client.ts';
import { errorForLog, healthAddress } from './daemon.ts';

test('errorForLog makes one line of what the API server does, and shows the stack of all else', () => {
  const cause = new Error('connect ECONNREFUSED');
  assert.equal(
    errorForLog(new UnansweredError('GET /x: connect ECONNREFUSED', { cause })),
    'GET /x: connect ECONNREFUSED',
  );
  assert.equal(errorForLog(new ApiError({ status: 503, message: 'etcd is away' })), 'etcd is away');
  assert.match(JSON.stringify(errorForLog(new TypeError('a bug'))), /a bug.*daemon\.test\.ts/);
});

test('healthAddress takes addresses of both families, and refuses what the manifest left empty', () => {
  assert.deepEqual(healthAddress({ port: '9671' }), { port: 9671 });
  assert.deepEqual(healthAddress({ port: '9671', bind: '192.0.2.1' }), { port: 9671, host: '192.0.2.1' });
  assert.deepEqual(healthAddress({ port: '9671', bind: '2001:db8::1' }), { port: 9671, host: '2001:db8::1' });
  for (const bind of ['', 'localhost']) assert.throws(() => healthAddress({ port: '9671', bind }), /--bind.*found/);
});
