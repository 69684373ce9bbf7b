import { TABLE, STRATEGIC, MERGE, GO, list, type Made, NAMES, PODS, send } from './requests.ts';
import type { Request, Scene } from './scene.ts';

function pod(name: string, spec: object = {}, metadata: object = {}): object {
  return {
    metadata: { name, ...metadata },
    spec: { schedulerName: 'nobody', containers: [container('main')], ...spec },
  };
}

function container(name: string, more: object = {}): object {
  return { name, image: 'nginx', ...more };
}

function bad(spec: object, more: Partial<Request> = {}): Request {
  return send(`POST ${PODS}`, pod('bad', spec), more);
}

const TIMES = { lastProbeTime: '2026-01-01T00:00:00Z', lastTransitionTime: '2026-01-01T00:00:00Z' };
const BINDING = { kind: 'Node', name: 'contract-no-such-node' };
const SHOW = [
  'metadata.generation',
  'metadata.labels',
  'status.phase',
  'status.qosClass',
  'spec.restartPolicy',
  'spec.dnsPolicy',
  'spec.schedulerName',
  'spec.terminationGracePeriodSeconds',
  'spec.containers',
  'spec.securityContext',
];

/** Pods: defaults, what is refused, selectors, binding, and how they end. */
export const POD: Scene = [
  send(`POST ${PODS}`, pod('one'), { show: SHOW }),
  send(`POST ${PODS}`, pod('one')),
  send(
    `POST ${PODS}`,
    pod('two', {
      containers: [
        container('a', { image: 'nginx:1.2', ports: [{ containerPort: 80 }], env: [{ name: 'A', value: 'b' }] }),
      ],
      restartPolicy: 'Never',
    }),
    { show: SHOW },
  ),
  send(`POST ${PODS}`, pod('three', { nodeName: 'contract-no-such-node' }, { labels: { app: 'x' } }), {
    show: ['spec.nodeName', 'status.conditions'],
  }),
  send(`GET ${PODS}/none`),
  bad({ containers: undefined }),
  bad({ containers: [] }),
  bad({ containers: null }),
  bad({ containers: [{ image: 'nginx' }] }),
  bad({ containers: [{ name: 'a' }] }),
  bad({ containers: [container('A_b')] }),
  bad({ containers: [container('a'), container('a')] }),
  bad({ containers: 'text' }, { loosely: GO }),
  bad({ containers: [{ name: 7, image: 'nginx' }] }, { loosely: GO }),
  bad({ restartPolicy: 'Sometimes' }),
  bad({ hostNetwork: 'yes' }, { loosely: GO }),
  bad({ containers: [container('a', { ports: [{ containerPort: 0 }] })] }),
  bad({ containers: [container('a', { ports: [{ containerPort: 70_000 }] })] }),
  bad({ containers: [container('a', { ports: [{ containerPort: 80, protocol: 'ICMP' }] })] }),
  bad({ containers: [container('a', { ports: [{ containerPort: 80, hostPort: 70_000 }] })] }),
  bad({ containers: [container('a', { ports: [{ containerPort: 80, name: 'a_b' }] })] }),
  bad({
    containers: [
      container('a', {
        ports: [
          { containerPort: 80, name: 'x' },
          { containerPort: 81, name: 'x' },
        ],
      }),
    ],
  }),
  bad({ containers: [container('a', { imagePullPolicy: 'Never2' })] }),
  bad({ containers: [container('a', { env: [{ value: 'x' }] })] }),
  bad({ terminationGracePeriodSeconds: -1 }, { show: ['spec.terminationGracePeriodSeconds'] }),
  bad({ activeDeadlineSeconds: 0 }),
  bad({ nodeSelector: { 'a b': 'c' } }),
  bad({ containers: [container('a', { volumeMounts: [{ name: 'x', mountPath: '/x' }] })] }),
  send(`POST ${PODS}`, { metadata: { name: 'bad' } }),
  send(`POST ${PODS}`, pod('Bad_Name')),
  send('POST /api/v1/pods', pod('x')),
  send('POST /api/v1/namespaces/contract-nowhere/pods', pod('x')),
  send(
    `PATCH ${PODS}/one`,
    { spec: { hostNetwork: true } },
    { ...MERGE, loosely: 'Kubernetes shows the difference, as Go has it' },
  ),
  send(
    `PATCH ${PODS}/one`,
    { metadata: { labels: { a: '1' } } },
    { ...STRATEGIC, show: ['metadata.labels', 'metadata.generation'] },
  ),
  send(
    `PATCH ${PODS}/one`,
    { spec: { containers: [{ name: 'main', image: 'nginx:2' }] } },
    { ...STRATEGIC, show: ['spec.containers', 'metadata.generation'] },
  ),
  send(
    `PATCH ${PODS}/one/status`,
    { status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True', ...TIMES }] } },
    { ...STRATEGIC, show: ['status.phase', 'status.conditions', 'metadata.generation'] },
  ),
  send(
    `PATCH ${PODS}/one/status`,
    { status: { conditions: [{ type: 'Initialized', status: 'True', ...TIMES }] } },
    { ...STRATEGIC, show: ['status.conditions'] },
  ),
  send(`PUT ${PODS}/one`, (made: Made) => made[0]),
  send(`PUT ${PODS}/none`, pod('none')),
  ...[
    'spec.nodeName=contract-no-such-node',
    'spec.nodeName=',
    'status.phase=Running',
    'status.phase!=Running',
    'spec.restartPolicy=Never',
    'spec.schedulerName=nobody',
    'metadata.name=one,status.phase=Running',
    'spec.hostNetwork=true',
    'status.podIP=',
  ].map((fieldSelector) => list(PODS, { fieldSelector }, { show: NAMES })),
  ...['spec.nonsense=x', 'metadata.labels=x', 'nodeName=x'].map((fieldSelector) => list(PODS, { fieldSelector })),
  send(`GET ${PODS}?fieldSelector=metadata.name%3Done`, undefined, {
    ...TABLE,
    show: ['kind', 'columnDefinitions', 'rows.0.cells'],
  }),
  send(`GET ${PODS}?fieldSelector=metadata.name%3Dthree`, undefined, { ...TABLE, show: ['rows.0.cells'] }),
  send(`POST ${PODS}/two/binding`, { apiVersion: 'v1', kind: 'Binding', metadata: { name: 'two' }, target: BINDING }),
  send(`POST ${PODS}/two/binding`, { apiVersion: 'v1', kind: 'Binding', metadata: { name: 'two' }, target: BINDING }),
  send(`POST ${PODS}/none/binding`, { apiVersion: 'v1', kind: 'Binding', metadata: { name: 'none' }, target: BINDING }),
  send(`DELETE ${PODS}/one`, undefined, {
    show: ['kind', 'metadata.name', 'metadata.deletionGracePeriodSeconds', 'metadata.deletionTimestamp'],
  }),
  send(`GET ${PODS}/one`),
  send(`DELETE ${PODS}/three`, undefined, {
    show: ['kind', 'metadata.name', 'metadata.generation', 'metadata.deletionGracePeriodSeconds'],
  }),
  send(`GET ${PODS}?fieldSelector=metadata.name%3Dthree`, undefined, { ...TABLE, show: ['rows.0.cells'] }),
  send(`DELETE ${PODS}/three?gracePeriodSeconds=5`, undefined, {
    show: ['metadata.generation', 'metadata.deletionGracePeriodSeconds'],
  }),
  send(`DELETE ${PODS}/three?gracePeriodSeconds=50`, undefined, {
    show: ['metadata.generation', 'metadata.deletionGracePeriodSeconds'],
  }),
  send(`DELETE ${PODS}/three`, {
    gracePeriodSeconds: 0,
    preconditions: { uid: '00000000-0000-0000-0000-000000000000' },
  }),
  send(`DELETE ${PODS}/three?gracePeriodSeconds=0`, undefined, {
    show: ['kind', 'metadata.deletionGracePeriodSeconds'],
  }),
  send(`GET ${PODS}/three`),
  send(`DELETE ${PODS}`, undefined, { show: ['kind', 'items.0.metadata.name', 'items.1.metadata.name'] }),
  send(`GET ${PODS}/two/log`, undefined, { loosely: 'Kubernetes calls the node a pod here' }),
];
