import { formatSelector, parseLabelSelector } from '../../objects/selector.ts';
import { ageOf } from './age.ts';
import { arrayAt, at, objectAt, textAt, type ApiObject } from './api-object.ts';
import { AGE_COLUMN, NAME_COLUMN, type Column } from './column.ts';

function column(name: string, description: string, cell: Column['cell'], priority = 0, type = 'string'): Column {
  return { name, type, format: '', description, priority, cell };
}

const ROLE = 'node-role.kubernetes.io/';

function roles(node: ApiObject): string {
  const names = Object.keys(node.metadata.labels ?? {})
    .filter((key) => key.startsWith(ROLE) && key.length > ROLE.length)
    .map((key) => key.slice(ROLE.length));
  return names.toSorted().join(',') || '<none>';
}

function nodeStatus(node: ApiObject): string {
  const ready = arrayAt(node, 'status', 'conditions').find((c) => at(c, 'type') === 'Ready');
  const word = ready === undefined ? 'Unknown' : at(ready, 'status') === 'True' ? 'Ready' : 'NotReady';
  return at(node, 'spec', 'unschedulable') === true ? `${word},SchedulingDisabled` : word;
}

function nodeAddress(type: string): Column['cell'] {
  return (node) =>
    textAt(
      arrayAt(node, 'status', 'addresses').find((a) => at(a, 'type') === type),
      'address',
    ) || '<none>';
}

function nodeInfo(field: string): Column['cell'] {
  return (node) => textAt(node, 'status', 'nodeInfo', field) || '<unknown>';
}

function lastSeen(event: ApiObject, now: number): string {
  const time =
    textAt(event, 'series', 'lastObservedTime') ||
    textAt(event, 'lastTimestamp') ||
    textAt(event, 'eventTime') ||
    textAt(event, 'firstTimestamp');
  return ageOf(time, now);
}

function firstSeen(event: ApiObject, now: number): string {
  return ageOf(textAt(event, 'firstTimestamp') || textAt(event, 'eventTime'), now);
}

function involved(event: ApiObject): string {
  const { kind, name } = objectAt(event, 'involvedObject');
  const kindName = typeof kind === 'string' ? kind.toLowerCase() : '';
  return typeof name === 'string' && name !== '' ? `${kindName}/${name}` : kindName;
}

function source(event: ApiObject): string {
  const component = textAt(event, 'source', 'component') || textAt(event, 'reportingComponent');
  const host = textAt(event, 'source', 'host') || textAt(event, 'reportingInstance');
  return [component, host].filter((part) => part !== '').join(', ');
}

function podSelector(policy: ApiObject): string {
  const parsed = parseLabelSelector(at(policy, 'spec', 'podSelector') ?? {}, 'spec.podSelector');
  const text = parsed.ok ? formatSelector(parsed.value) : '';
  return text === '' ? '<none>' : text;
}

function eventCount(event: ApiObject): number {
  const count = at(event, 'series', 'count') ?? at(event, 'count');
  return typeof count === 'number' && count > 0 ? count : 1;
}

const LAST_SEEN = column('Last Seen', 'How long ago it happened last', lastSeen);

/** The columns of the built-in kinds but Pods, as Kubernetes has them. */
export const BUILTIN_COLUMNS = {
  namespace: [
    NAME_COLUMN,
    column('Status', 'Active or Terminating', (namespace) => textAt(namespace, 'status', 'phase')),
    AGE_COLUMN,
  ],
  node: [
    NAME_COLUMN,
    column('Status', 'Whether it is ready to run pods', nodeStatus),
    column('Roles', 'From its labels node-role.kubernetes.io/...', roles),
    AGE_COLUMN,
    column('Version', 'Of its node runtime', (node) => textAt(node, 'status', 'nodeInfo', 'kubeletVersion')),
    column('Internal-IP', 'Its address within the cluster', nodeAddress('InternalIP'), 1),
    column('External-IP', 'Its address from outside', nodeAddress('ExternalIP'), 1),
    column('OS-Image', 'Its operating system', nodeInfo('osImage'), 1),
    column('Kernel-Version', "Its kernel's version", nodeInfo('kernelVersion'), 1),
    column('Container-Runtime', 'What runs its containers', nodeInfo('containerRuntimeVersion'), 1),
  ],
  event: [
    LAST_SEEN,
    column('Type', 'Normal or Warning', (event) => textAt(event, 'type')),
    column('Reason', 'One word for programs', (event) => textAt(event, 'reason')),
    column('Object', 'What it is about', involved),
    column('Subobject', 'Which part of that', (event) => textAt(event, 'involvedObject', 'fieldPath'), 1),
    column('Source', 'Who says so', source, 1),
    column('Message', 'What happened and what to do', (event) => textAt(event, 'message').trim()),
    column('First Seen', 'How long ago it happened first', firstSeen, 1),
    column('Count', 'How often it happened', eventCount, 1),
    { ...NAME_COLUMN, priority: 1 },
  ],
  lease: [
    NAME_COLUMN,
    column('Holder', 'Who holds it', (lease) => textAt(lease, 'spec', 'holderIdentity')),
    AGE_COLUMN,
  ],
  networkPolicy: [NAME_COLUMN, column('Pod-Selector', 'Pods that it applies to', podSelector), AGE_COLUMN],
} as const satisfies Record<string, readonly Column[]>;
