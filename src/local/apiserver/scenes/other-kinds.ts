import { TABLE, STRATEGIC, GO, list, MERGE, NAMES, send } from './requests.ts';
import type { Scene } from './scene.ts';

const LEASES = '/apis/coordination.k8s.io/v1/namespaces/NS/leases';
const EVENTS = '/api/v1/namespaces/NS/events';
const TIMES = { lastHeartbeatTime: '2026-01-01T00:00:00Z', lastTransitionTime: '2026-01-01T00:00:00Z' };

/** Nodes, and the order of lists that strategic merge patches change. */
export const NODE: Scene = [
  send(
    'POST /api/v1/nodes',
    { metadata: { name: 'NS-n', labels: { 'node-role.kubernetes.io/worker': '' } } },
    { show: ['kind', 'metadata.generation'] },
  ),
  send('POST /api/v1/nodes', { metadata: { name: 'NS-n' } }),
  send(
    'PATCH /api/v1/nodes/NS-n/status',
    {
      status: {
        conditions: [{ type: 'Ready', status: 'True', ...TIMES }],
        addresses: [
          { type: 'InternalIP', address: '192.0.2.1' },
          { type: 'Hostname', address: 'h' },
        ],
      },
    },
    { ...STRATEGIC, show: ['status.conditions', 'status.addresses'] },
  ),
  send(
    'PATCH /api/v1/nodes/NS-n/status',
    { status: { conditions: [{ type: 'NetworkUnavailable', status: 'False', reason: 'r', message: 'm', ...TIMES }] } },
    { ...STRATEGIC, show: ['status.conditions', 'status.addresses'] },
  ),
  send(
    'PATCH /api/v1/nodes/NS-n/status',
    { status: { conditions: [{ $patch: 'delete', type: 'NetworkUnavailable' }] } },
    { ...STRATEGIC, show: ['status.conditions'] },
  ),
  send(
    'PATCH /api/v1/nodes/NS-n/status',
    {
      status: {
        addresses: [
          { type: 'ExternalIP', address: '192.0.2.3' },
          { type: 'Hostname', address: 'i' },
        ],
      },
    },
    { ...STRATEGIC, show: ['status.addresses'] },
  ),
  send(
    'PATCH /api/v1/nodes/NS-n/status',
    {
      status: {
        '$setElementOrder/addresses': [{ type: 'Hostname' }, { type: 'InternalIP' }],
        addresses: [{ type: 'InternalIP', address: '192.0.2.9' }],
      },
    },
    { ...STRATEGIC, show: ['status.addresses'] },
  ),
  send('PATCH /api/v1/nodes/NS-n', { spec: { unschedulable: true } }, { ...MERGE, show: ['spec.unschedulable'] }),
  send(
    'PATCH /api/v1/nodes/NS-n',
    { spec: { taints: [{ key: 'a', effect: 'Nope' }] } },
    { ...MERGE, loosely: 'Kubernetes names a wrong field here' },
  ),
  send(
    'PATCH /api/v1/nodes/NS-n',
    { spec: { podCIDR: '10.0.0.0/24', podCIDRs: ['10.0.0.0/24'] } },
    { ...MERGE, show: ['spec.podCIDRs'] },
  ),
  send('GET /api/v1/nodes?fieldSelector=metadata.name%3DNS-n', undefined, {
    ...TABLE,
    show: ['columnDefinitions', 'rows.0.cells'],
  }),
  send('GET /api/v1/nodes?fieldSelector=spec.unschedulable%3Dtrue,metadata.name%3DNS-n', undefined, { show: NAMES }),
  send('GET /api/v1/nodes?fieldSelector=status.phase%3Dx'),
  send('DELETE /api/v1/nodes/NS-n'),
  send('GET /api/v1/nodes/NS-n'),
];

/** Leases, as leader elections use them. */
export const LEASE: Scene = [
  send(
    `POST ${LEASES}`,
    {
      metadata: { name: 'l' },
      spec: { holderIdentity: 'me', leaseDurationSeconds: 15, renewTime: '2026-01-01T00:00:00.000000Z' },
    },
    { show: ['spec', 'kind', 'apiVersion'] },
  ),
  send(`POST ${LEASES}`, { metadata: { name: 'm' }, spec: { leaseDurationSeconds: 0 } }),
  send(`POST ${LEASES}`, { metadata: { name: 'm' }, spec: { leaseDurationSeconds: 'x' } }, { loosely: GO }),
  send(`POST ${LEASES}`, { metadata: { name: 'm' }, spec: { leaseTransitions: -1 } }),
  send(`POST ${LEASES}`, { metadata: { name: 'm' }, spec: { renewTime: 'x' } }, { loosely: GO }),
  send(`POST ${LEASES}`, { metadata: { name: 'm' } }, { show: ['spec'] }),
  send(`PUT ${LEASES}/l`, { metadata: { name: 'l' }, spec: { holderIdentity: 'you' } }, { show: ['spec'] }),
  send(`PUT ${LEASES}/l`, { metadata: { name: 'l', resourceVersion: '1' }, spec: { holderIdentity: 'you' } }),
  send(`PUT ${LEASES}/new`, { metadata: { name: 'new' }, spec: { holderIdentity: 'you' } }, { show: ['spec'] }),
  send(`PUT ${LEASES}/other`, { metadata: { name: 'other', resourceVersion: '1' }, spec: { holderIdentity: 'you' } }),
  send(`PATCH ${LEASES}/l`, { spec: { holderIdentity: '' } }, { ...MERGE, show: ['spec'] }),
  send(`PATCH ${LEASES}/l`, { spec: { holderIdentity: null } }, { ...MERGE, show: ['spec'] }),
  send(`PATCH ${LEASES}/l`, { metadata: { resourceVersion: '1' }, spec: { holderIdentity: 'x' } }, MERGE),
  send(`GET ${LEASES}`, undefined, { ...TABLE, show: ['columnDefinitions', 'rows.0.cells'] }),
  send(`DELETE ${LEASES}/l`),
  send(`DELETE ${LEASES}/l`),
];

/** Events. */
export const EVENT: Scene = [
  send(
    `POST ${EVENTS}`,
    {
      metadata: { name: 'e' },
      involvedObject: { kind: 'Pod', name: 'p', namespace: 'NS' },
      reason: 'R',
      message: 'm',
      type: 'Normal',
      count: 1,
      firstTimestamp: '2026-01-01T00:00:00Z',
      lastTimestamp: '2026-01-01T00:00:00Z',
      source: { component: 'c', host: 'h' },
    },
    { show: ['involvedObject', 'reason', 'count', 'source', 'lastTimestamp'] },
  ),
  send(`POST ${EVENTS}`, { metadata: { name: 'f' }, involvedObject: { kind: 'Pod', name: 'p', namespace: 'other' } }),
  send(`POST ${EVENTS}`, { metadata: { name: 'f' } }),
  send(
    `POST ${EVENTS}`,
    {
      metadata: { name: 'g' },
      involvedObject: { kind: 'Host', name: 'p', namespace: 'NS', apiVersion: 'romana.io/v1' },
      message: 'x'.repeat(1025),
    },
    { show: ['kind'] },
  ),
  send(
    'POST /api/v1/namespaces/default/events',
    {
      metadata: { name: 'NS-e' },
      involvedObject: { kind: 'Host', name: 'p', apiVersion: 'romana.io/v1' },
      reason: 'R',
    },
    { show: ['kind'] },
  ),
  send(
    `PATCH ${EVENTS}/e`,
    { count: 2, lastTimestamp: '2026-01-01T00:00:05Z' },
    { ...MERGE, show: ['count', 'lastTimestamp'] },
  ),
  ...[
    'involvedObject.name=p',
    'involvedObject.kind=Pod',
    'reason=R',
    'type=Normal',
    'source=c',
    'reportingComponent=c',
  ].map((fieldSelector) => list(EVENTS, { fieldSelector }, { show: ['items.0.metadata.name'] })),
  send(`GET ${EVENTS}?fieldSelector=message%3Dx`),
  send(`GET ${EVENTS}?fieldSelector=metadata.name%3De`, undefined, {
    ...TABLE,
    show: [
      'columnDefinitions',
      'rows.0.cells.1',
      'rows.0.cells.2',
      'rows.0.cells.3',
      'rows.0.cells.4',
      'rows.0.cells.5',
      'rows.0.cells.6',
      'rows.0.cells.8',
      'rows.0.cells.9',
    ],
  }),
  send(`DELETE ${EVENTS}/e`),
  send('DELETE /api/v1/namespaces/default/events/NS-e'),
];

/** Namespaces, and paths where nothing is. */
export const NAMESPACE: Scene = [
  send('GET /api/v1/namespaces/NS'),
  send('GET /api/v1/namespaces?fieldSelector=metadata.name%3DNS', undefined, {
    ...TABLE,
    show: ['columnDefinitions', 'rows.0.cells'],
  }),
  send('GET /api/v1/namespaces?fieldSelector=status.phase%3DActive,metadata.name%3DNS', undefined, { show: NAMES }),
  send('GET /api/v1/namespaces?fieldSelector=spec.x%3Dy'),
  send(
    'PATCH /api/v1/namespaces/NS',
    { metadata: { annotations: { 'net.alpha.kubernetes.io/network-isolation': 'on' } } },
    { ...STRATEGIC, show: ['metadata.annotations', 'status'] },
  ),
  send(
    'PATCH /api/v1/namespaces/NS',
    { metadata: { labels: { 'kubernetes.io/metadata.name': 'x' } } },
    { ...MERGE, show: ['metadata.labels'] },
  ),
  send('PATCH /api/v1/namespaces/NS', { metadata: { labels: null } }, { ...MERGE, show: ['metadata.labels'] }),
  send('PATCH /api/v1/namespaces/NS', { spec: { finalizers: [] } }, { ...MERGE, show: ['spec'] }),
  send('PATCH /api/v1/namespaces/NS', { status: { phase: 'Terminating' } }, { ...MERGE, show: ['status'] }),
  send(
    'PUT /api/v1/namespaces/NS',
    { metadata: { name: 'NS', labels: { a: 'b' } } },
    { show: ['metadata.labels', 'spec', 'status'] },
  ),
  send('POST /api/v1/namespaces?fieldValidation=Strict', { metadata: { name: 'NS-y', nonsense: 1 } }),
  send(
    'POST /api/v1/namespaces?dryRun=All',
    { metadata: { name: 'NS-y' } },
    { show: ['spec', 'status', 'metadata.labels', 'metadata.resourceVersion'] },
  ),
  send('PUT /api/v1/namespaces', { metadata: { name: 'x' } }),
  send('PATCH /api/v1/namespaces', {}, MERGE),
  send('DELETE /api/v1/namespaces'),
  send('POST /api/v1/namespaces/NS', {}),
  send('GET /api/v1/nonsense'),
  send('GET /api/v1/namespaces/NS/nonsense', undefined, { loosely: 'ours says what is missing' }),
  send('GET /api/v2/namespaces'),
  send('GET /apis/networking.k8s.io/v1/nonsense'),
  send('GET /apis/networking.k8s.io/v9/networkpolicies'),
];

/** What there is. */
export const DISCOVERY: Scene = [
  send('GET /api', undefined, { show: ['kind', 'versions'] }),
  send('GET /apis/contract.romana.io'),
  send('GET /apis/contract.romana.io/v1'),
  send('GET /apis/coordination.k8s.io/v1', undefined, { show: ['kind', 'groupVersion', 'apiVersion'] }),
  send('GET /apis/nothing.romana.io'),
  send('GET /apis/contract.romana.io/v2'),
  send('GET /version', undefined, { show: ['major'] }),
  send('GET /healthz'),
  send('GET /readyz'),
  send('GET /livez'),
];
