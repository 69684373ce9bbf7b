import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiObject } from './api-object.ts';
import { type NodeUse, place, refusal } from './placement.ts';

function make(kind: string, name: string, rest: object): ApiObject {
  const metadata = { name, uid: name, resourceVersion: '1', creationTimestamp: '' };
  return { apiVersion: 'v1', kind, metadata, ...rest };
}

const READY = { conditions: [{ type: 'Ready', status: 'True' }] };
const TAINT = { key: 'role', value: 'db', effect: 'NoSchedule' };

const IDLE: NodeUse = { load: () => 0, ports: () => [] };

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
  assert.deepEqual(place(pod, nodes, IDLE), { message });
  assert.deepEqual(place(pod, [], IDLE), { message: 'no nodes available to schedule pods' });
});

const takenOn = (...names: readonly string[]): NodeUse => ({
  load: () => 0,
  ports: (node) => (names.includes(node) ? [{ protocol: 'TCP', port: 8080, address: '' }] : []),
});

test('place gives a pod a node on which its host ports are free, or says that there is none', () => {
  const ports = [{ containerPort: 80, hostPort: 8080 }];
  const pod = make('Pod', 'p', { spec: { containers: [{ name: 'a', ports }] } });
  const nodes = [make('Node', 'n1', { status: READY }), make('Node', 'n2', { status: READY })];
  assert.deepEqual(place(pod, nodes, takenOn('n1')), { node: 'n2' });
  const message = "0/2 nodes are available: 2 node(s) didn't have free ports for the requested pod ports.";
  assert.deepEqual(place(pod, nodes, takenOn('n1', 'n2')), { message });
});
