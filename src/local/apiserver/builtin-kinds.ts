import { arrayAt, at, ensureObject, textAt, type ApiObject, type JsonObject } from './api-object.ts';
import { BUILTIN_COLUMNS } from './builtin-columns.ts';
import { BUILTIN_SCHEMAS } from './builtin-schemas.ts';
import type { Column } from './column.ts';
import type { Kind } from './kind.ts';
import { checkNetworkPolicy, defaultNetworkPolicy } from './network-policy-rules.ts';
import { OBJECT_META_SCHEMA } from './object-meta-schema.ts';
import { POD_COLUMNS } from './pod-columns.ts';
import { checkPod, defaultPod } from './pod-rules.ts';
import { validateSchema } from './schema.ts';
import type { Cause } from './status-error.ts';
import { prune } from './structural-schema.ts';

interface Rules {
  readonly schema: JsonObject;
  readonly columns: readonly Column[];
  readonly setDefaults?: (object: ApiObject, old: ApiObject | undefined) => void;
  readonly check?: (object: ApiObject, old: ApiObject | undefined) => readonly Cause[];
}

type Names = Pick<Kind, 'group' | 'version' | 'plural' | 'kind' | 'shortNames'>;

const COMMON = {
  categories: [],
  namespaced: true,
  builtin: true,
  unconditionalUpdate: true,
  createsOnUpdate: false,
  hasStatus: true,
  keepsStatusOnCreate: false,
  hasGeneration: false,
  collectionDelete: true,
  nameRule: 'subdomain',
  // Their schemas do not describe all fields of spec and status, and nothing there is dropped.
  unknownFields: (body: unknown) =>
    prune(structuredClone(at(body, 'metadata')), OBJECT_META_SCHEMA).map((field) => `metadata.${field}`),
  selectableFields: [],
} as const;

const POD_FIELDS = [
  'spec.nodeName',
  'spec.restartPolicy',
  'spec.schedulerName',
  'spec.serviceAccountName',
  'spec.hostNetwork',
  'status.phase',
  'status.podIP',
  'status.nominatedNodeName',
];
const EVENT_FIELDS = [
  ...['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].map(
    (field) => `involvedObject.${field}`,
  ),
  'reason',
  'reportingComponent',
  'source',
  'type',
];

/** `spec.finalizers` belong to the clean-up of contents; no request changes them. */
function defaultNamespace(object: ApiObject, old: ApiObject | undefined): void {
  const labels = ensureObject(object.metadata, 'labels');
  labels['kubernetes.io/metadata.name'] = object.metadata.name;
  const spec = ensureObject(object, 'spec');
  spec['finalizers'] = old === undefined ? ['kubernetes'] : arrayAt(old, 'spec', 'finalizers');
  const status = ensureObject(object, 'status');
  status['phase'] = object.metadata.deletionTimestamp === undefined ? 'Active' : 'Terminating';
}

function defaultNode(object: ApiObject): void {
  ensureObject(object, 'spec');
  ensureObject(object, 'status');
}

function defaultLease(object: ApiObject): void {
  ensureObject(object, 'spec');
}

/** An Event is in the namespace of what it is about; of what has none, in `default`. */
function checkEvent(event: ApiObject): Cause[] {
  const about = textAt(event, 'involvedObject', 'namespace');
  const { namespace = '' } = event.metadata;
  if (about === namespace || (about === '' && namespace === 'default')) return [];
  const message = `Invalid value: ${JSON.stringify(about)}: does not match event.namespace`;
  return [{ reason: 'FieldValueInvalid', message, field: 'involvedObject.namespace' }];
}

function make(names: Names, rules: Rules, more: Partial<Kind> = {}): Kind {
  const { selectableFields = [], ...rest } = more;
  return {
    ...COMMON,
    ...names,
    key: names.group === '' ? names.plural : `${names.plural}.${names.group}`,
    singular: names.kind.toLowerCase(),
    listKind: `${names.kind}List`,
    ...rest,
    schema: rules.schema,
    columns: rules.columns,
    selectableFields: ['metadata.name', 'metadata.namespace', ...selectableFields],
    prepare: (object, old) => rules.setDefaults?.(object, old),
    validate: (object, old) => {
      const causes = validateSchema(object, rules.schema);
      return causes.length > 0 ? causes : (rules.check?.(object, old) ?? []);
    },
  };
}

/** The kinds that are there without any definition. */
export function builtinKinds(): Kind[] {
  const v1 = { group: '', version: 'v1' };
  return [
    make(
      { ...v1, plural: 'namespaces', kind: 'Namespace', shortNames: ['ns'] },
      { schema: BUILTIN_SCHEMAS.namespace, columns: BUILTIN_COLUMNS.namespace, setDefaults: defaultNamespace },
      { namespaced: false, collectionDelete: false, nameRule: 'label', selectableFields: ['status.phase'] },
    ),
    make(
      { ...v1, plural: 'nodes', kind: 'Node', shortNames: ['no'] },
      { schema: BUILTIN_SCHEMAS.node, columns: BUILTIN_COLUMNS.node, setDefaults: defaultNode },
      { namespaced: false, keepsStatusOnCreate: true, selectableFields: ['spec.unschedulable'] },
    ),
    make(
      { ...v1, plural: 'pods', kind: 'Pod', shortNames: ['po'] },
      { schema: BUILTIN_SCHEMAS.pod, columns: POD_COLUMNS, setDefaults: defaultPod, check: checkPod },
      { hasGeneration: true, categories: ['all'], selectableFields: POD_FIELDS },
    ),
    make(
      { ...v1, plural: 'events', kind: 'Event', shortNames: ['ev'] },
      { schema: BUILTIN_SCHEMAS.event, columns: BUILTIN_COLUMNS.event, check: checkEvent },
      { hasStatus: false, selectableFields: EVENT_FIELDS, createsOnUpdate: true },
    ),
    make(
      { group: 'coordination.k8s.io', version: 'v1', plural: 'leases', kind: 'Lease', shortNames: [] },
      { schema: BUILTIN_SCHEMAS.lease, columns: BUILTIN_COLUMNS.lease, setDefaults: defaultLease },
      { hasStatus: false, unconditionalUpdate: false, createsOnUpdate: true },
    ),
    make(
      {
        group: 'networking.k8s.io',
        version: 'v1',
        plural: 'networkpolicies',
        kind: 'NetworkPolicy',
        shortNames: ['netpol'],
      },
      {
        schema: BUILTIN_SCHEMAS.networkPolicy,
        columns: BUILTIN_COLUMNS.networkPolicy,
        setDefaults: defaultNetworkPolicy,
        check: checkNetworkPolicy,
      },
      { hasStatus: false, hasGeneration: true },
    ),
  ];
}

/** Finalizers of a Namespace's contents: it goes only when they are done. */
export function contentFinalizers(namespace: ApiObject): readonly unknown[] {
  return arrayAt(namespace, 'spec', 'finalizers');
}
