import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiObject } from './api-object.ts';
import { place, refusal } from './placement.ts';

function make(kind: string, name: string, rest: object): ApiObject {
  const metadata = { name, uid: name, resourceVersion: '1', creationTimestamp: '' };
  return { apiVersion: 'v1', kind, metadata, ...rest };
}

const READY = { conditions: [{ type: 'Ready', status: 'True' }] };
const TAINT = { key: 'role', value: 'db', effect: 'NoSchedule' };

test('refusal follows taints and tolerations', () => {
  const tainted = make('Node', 'n', { spec: { taints: [TAINT] }, status: READY });
  const cases: [object[], boolean][] = [
    [[], false],
    [[{ operator: 'Exists' }], true],
    [[{ key: 'role', operator: 'Exists' }], true],
    [[{ key: 'role', value: 'db' }], true],
    [[{ key: 'role', value: 'web' }], false],
    [[{ key: 'role', value: 'db', effect: 'NoExecute' }], false],
    [[{ key: 'role', value: 'db', effect: 'NoSchedule' }], true],
    [[{ key: 'other', operator: 'Exists' }], false],
  ];
  for (const [tolerations, fits] of cases)
    assert.equal(
      refusal(make('Pod', 'p', { spec: { tolerations } }), tainted) === undefined,
      fits,
      JSON.stringify(tolerations),
    );
});

test('refusal: PreferNoSchedule keeps nobody away, a node that is not ready does', () => {
  const pod = make('Pod', 'p', { spec: {} });
  const mild = make('Node', 'n', { spec: { taints: [{ ...TAINT, effect: 'PreferNoSchedule' }] }, status: READY });
  assert.equal(refusal(pod, mild), undefined);
  assert.equal(refusal(pod, make('Node', 'n', {})), 'had untolerated taint {node.kubernetes.io/not-ready}');
});

test('place counts why no node takes a pod', () => {
  const pod = make('Pod', 'p', { spec: { nodeSelector: { a: 'b' } } });
  const nodes = [make('Node', 'n1', { status: READY }), make('Node', 'n2', { status: READY })];
  const message = "0/2 nodes are available: 2 node(s) didn't match the Pod's node selector.";
  assert.deepEqual(
    place(pod, nodes, () => 0),
    { message },
  );
  assert.deepEqual(
    place(pod, [], () => 0),
    { message: 'no nodes available to schedule pods' },
  );
});
