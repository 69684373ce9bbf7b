import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiObject } from './api-object.ts';
import { POD_COLUMNS } from './pod-columns.ts';

const NOW = Date.parse('2026-01-01T00:10:00Z');

/** What the columns Ready, Status and Restarts show of a pod of one container. */
function shown(status: object, metadata: object = {}): unknown[] {
  const own = { name: 'p', uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z', ...metadata };
  const pod: ApiObject = { apiVersion: 'v1', kind: 'Pod', metadata: own, spec: { containers: [{}] }, status };
  return POD_COLUMNS.slice(1, 4).map((column) => column.cell(pod, NOW));
}

test('POD_COLUMNS: a container says more than the phase', () => {
  const running = { state: { running: {} }, ready: true, restartCount: 0 };
  assert.deepEqual(shown({ phase: 'Running', containerStatuses: [running] }), ['1/1', 'Running', '0']);
  const waiting = {
    state: { waiting: { reason: 'CrashLoopBackOff' } },
    lastState: { terminated: { finishedAt: '2026-01-01T00:09:00Z' } },
    restartCount: 3,
  };
  const crashed = shown({ phase: 'Running', containerStatuses: [waiting] });
  assert.deepEqual(crashed, ['0/1', 'CrashLoopBackOff', '3 (60s ago)']);
  const done = { state: { terminated: { exitCode: 0, reason: 'Completed' } }, restartCount: 0 };
  assert.deepEqual(shown({ phase: 'Succeeded', containerStatuses: [done] }), ['0/1', 'Completed', '0']);
  const failed = { state: { terminated: { exitCode: 3 } }, restartCount: 0 };
  assert.deepEqual(shown({ phase: 'Failed', containerStatuses: [failed] })[1], 'ExitCode:3');
  assert.deepEqual(shown({ phase: 'Failed', reason: 'Evicted' })[1], 'Evicted');
  assert.deepEqual(shown({ phase: 'Pending' }), ['0/1', 'Pending', '0']);
});

test('POD_COLUMNS: init containers come first, deletion before all', () => {
  const init = [{ state: { terminated: { exitCode: 0 } } }, { state: { running: {} } }];
  assert.equal(shown({ phase: 'Pending', initContainerStatuses: init })[1], 'Init:1/2');
  const stuck = [{ state: { waiting: { reason: 'ErrImagePull' } } }];
  assert.equal(shown({ phase: 'Pending', initContainerStatuses: stuck })[1], 'Init:ErrImagePull');
  const deleted = { deletionTimestamp: '2026-01-01T00:10:00Z' };
  assert.equal(shown({ phase: 'Pending', initContainerStatuses: stuck }, deleted)[1], 'Terminating');
});
