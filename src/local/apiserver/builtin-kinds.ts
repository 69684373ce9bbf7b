import type { Ajv } from 'ajv';
import { arrayAt, ensureObject, isObject, type ApiObject, type JsonObject } from './api-object.ts';
import { BUILTIN_COLUMNS } from './builtin-columns.ts';
import { BUILTIN_SCHEMAS } from './builtin-schemas.ts';
import type { Column } from './column.ts';
import type { Kind } from './kind.ts';
import { checkNetworkPolicy, defaultNetworkPolicy } from './network-policy-rules.ts';
import { POD_COLUMNS } from './pod-columns.ts';
import { checkPod, defaultPod } from './pod-rules.ts';
import { compileSchema } from './schema.ts';
import type { Cause } from './status-error.ts';

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
  hasStatus: true,
  keepsStatusOnCreate: false,
  hasGeneration: false,
  unconditionalUpdate: true,
  collectionDelete: true,
  nameRule: 'subdomain',
  strategicMerge: true,
  // Their schemas do not describe all fields, and nothing is dropped.
  unknownFields: () => [],
  selectableFields: [],
} as const;

const EVENT_FIELDS = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'];

/** Takes away fields that are null, as decoding into Kubernetes' Go types does. */
export function dropNulls(value: unknown): void {
  if (Array.isArray(value)) for (const item of value) dropNulls(item);
  if (!isObject(value)) return;
  for (const [key, item] of Object.entries(value)) {
    if (item === null) delete value[key];
    else dropNulls(item);
  }
}

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

/** The kinds that are there without any definition. */
export function builtinKinds(ajv: Ajv): Kind[] {
  const make = (names: Names, rules: Rules, more: Partial<Kind> = {}): Kind => {
    const bySchema = compileSchema(ajv, rules.schema);
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
      prepare: (object, old) => {
        dropNulls(object);
        rules.setDefaults?.(object, old);
      },
      validate: (object, old) => {
        const causes = bySchema(object);
        return causes.length > 0 ? causes : (rules.check?.(object, old) ?? []);
      },
    };
  };
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
      { namespaced: false, keepsStatusOnCreate: true },
    ),
    make(
      { ...v1, plural: 'pods', kind: 'Pod', shortNames: ['po'] },
      { schema: BUILTIN_SCHEMAS.pod, columns: POD_COLUMNS, setDefaults: defaultPod, check: checkPod },
      { hasGeneration: true, categories: ['all'], selectableFields: ['spec.nodeName', 'status.phase'] },
    ),
    make(
      { ...v1, plural: 'events', kind: 'Event', shortNames: ['ev'] },
      { schema: BUILTIN_SCHEMAS.event, columns: BUILTIN_COLUMNS.event },
      { hasStatus: false, selectableFields: EVENT_FIELDS.map((field) => `involvedObject.${field}`) },
    ),
    make(
      { group: 'coordination.k8s.io', version: 'v1', plural: 'leases', kind: 'Lease', shortNames: [] },
      { schema: BUILTIN_SCHEMAS.lease, columns: BUILTIN_COLUMNS.lease },
      { hasStatus: false },
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
