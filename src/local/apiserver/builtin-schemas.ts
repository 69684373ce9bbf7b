import type { JsonObject } from './api-object.ts';

/*
 * JSON schemas of the built-in kinds, as far as this server's users rely on them. Unknown fields are kept, unlike in
 * custom resources: what is not described here is stored as it came.
 */

const text: JsonObject = { type: 'string' };
const integer: JsonObject = { type: 'integer' };
const port: JsonObject = { type: 'integer', minimum: 1, maximum: 65_535 };
const protocol: JsonObject = { enum: ['TCP', 'UDP', 'SCTP'] };
const texts: JsonObject = { type: 'array', items: text };
const textMap: JsonObject = { type: 'object', additionalProperties: text };
const dnsLabel: JsonObject = { type: 'string', maxLength: 63, pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$' };
const portName: JsonObject = {
  type: 'string',
  minLength: 1,
  maxLength: 15,
  pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
};

function object(properties: JsonObject, required: readonly string[] = []): JsonObject {
  return { type: 'object', properties, required };
}

function list(items: JsonObject, more: JsonObject = {}): JsonObject {
  return { type: 'array', items, ...more };
}

const conditions = list(object({ type: text, status: { enum: ['True', 'False', 'Unknown'] } }, ['type', 'status']));

const labelSelector = object({
  matchLabels: textMap,
  matchExpressions: list(
    object({ key: text, operator: { enum: ['In', 'NotIn', 'Exists', 'DoesNotExist'] }, values: texts }, [
      'key',
      'operator',
    ]),
  ),
});

const container = object(
  {
    name: dnsLabel,
    image: { type: 'string', minLength: 1 },
    command: texts,
    args: texts,
    workingDir: text,
    env: list(object({ name: { type: 'string', minLength: 1 }, value: text, valueFrom: object({}) }, ['name'])),
    ports: list(
      object({ name: portName, containerPort: port, hostPort: port, hostIP: text, protocol }, ['containerPort']),
    ),
    imagePullPolicy: { enum: ['Always', 'IfNotPresent', 'Never'] },
    tty: { type: 'boolean' },
    stdin: { type: 'boolean' },
    resources: object({}),
    volumeMounts: list(object({ name: text, mountPath: text }, ['name', 'mountPath'])),
  },
  ['name', 'image'],
);

const pod = object(
  {
    spec: object(
      {
        containers: list(container, { minItems: 1 }),
        initContainers: list(container),
        nodeName: text,
        nodeSelector: textMap,
        restartPolicy: { enum: ['Always', 'OnFailure', 'Never'] },
        hostNetwork: { type: 'boolean' },
        serviceAccountName: text,
        schedulerName: text,
        hostname: text,
        terminationGracePeriodSeconds: { type: 'integer', minimum: 0 },
        activeDeadlineSeconds: port,
        tolerations: list(
          object({
            key: text,
            operator: { enum: ['Exists', 'Equal'] },
            value: text,
            effect: { enum: ['NoSchedule', 'PreferNoSchedule', 'NoExecute', ''] },
            tolerationSeconds: integer,
          }),
        ),
        volumes: list(object({ name: dnsLabel }, ['name'])),
      },
      ['containers'],
    ),
    status: object({
      phase: { enum: ['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown', ''] },
      conditions,
      hostIP: text,
      podIP: text,
      podIPs: list(object({ ip: text }, ['ip'])),
      containerStatuses: list(object({ name: text }, ['name'])),
    }),
  },
  ['spec'],
);

const node = object({
  spec: object({
    unschedulable: { type: 'boolean' },
    podCIDR: text,
    podCIDRs: texts,
    providerID: text,
    taints: list(
      object({ key: text, value: text, effect: { enum: ['NoSchedule', 'PreferNoSchedule', 'NoExecute'] } }, [
        'key',
        'effect',
      ]),
    ),
  }),
  status: object({
    conditions,
    addresses: list(object({ type: text, address: text }, ['type', 'address'])),
    capacity: object({}),
    allocatable: object({}),
    nodeInfo: object({}),
  }),
});

const namespace = object({
  spec: object({ finalizers: texts }),
  status: object({ phase: { enum: ['Active', 'Terminating'] }, conditions }),
});

const event = object(
  {
    involvedObject: object({ kind: text, namespace: text, name: text, uid: text, apiVersion: text }),
    reason: text,
    message: { type: 'string', maxLength: 1024 },
    type: text,
    count: integer,
    firstTimestamp: { type: 'string', format: 'date-time' },
    lastTimestamp: { type: 'string', format: 'date-time' },
    eventTime: { type: 'string', format: 'date-time' },
    source: object({ component: text, host: text }),
  },
  ['involvedObject'],
);

const lease = object({
  spec: object({
    holderIdentity: text,
    leaseDurationSeconds: { type: 'integer', minimum: 1 },
    leaseTransitions: { type: 'integer', minimum: 0 },
    acquireTime: { type: 'string', format: 'date-time' },
    renewTime: { type: 'string', format: 'date-time' },
  }),
});

const cidr: JsonObject = { type: 'string', format: 'cidr' };

const peers = list(
  object({
    podSelector: labelSelector,
    namespaceSelector: labelSelector,
    ipBlock: object({ cidr, except: list(cidr) }, ['cidr']),
  }),
);

const policyPorts = list(
  object({
    protocol,
    endPort: port,
    port: { type: ['integer', 'string'], minimum: 1, maximum: 65_535, minLength: 1, maxLength: 15 },
  }),
);

const networkPolicy = object(
  {
    spec: object({
      podSelector: labelSelector,
      policyTypes: list({ enum: ['Ingress', 'Egress'] }, { maxItems: 2 }),
      ingress: list(object({ from: peers, ports: policyPorts })),
      egress: list(object({ to: peers, ports: policyPorts })),
    }),
  },
  ['spec'],
);

/** The schema of each built-in kind, without apiVersion, kind and metadata. */
export const BUILTIN_SCHEMAS = { namespace, node, pod, event, lease, networkPolicy } as const;
