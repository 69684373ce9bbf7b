import type { JsonObject } from './api-object.ts';
import { DNS_LABEL_SAYS } from './metadata.ts';

/*
 * JSON schemas of the built-in kinds, as far as this server's users rely on them. Unknown fields are kept, unlike in
 * custom resources: what is not described here is stored as it came.
 */

const text: JsonObject = { type: 'string' };
const integer: JsonObject = { type: 'integer' };
const port: JsonObject = {
  type: 'integer',
  minimum: 1,
  maximum: 65_535,
  'x-romana-says': 'must be between 1 and 65535, inclusive',
};
const protocol: JsonObject = { type: 'string', enum: ['SCTP', 'TCP', 'UDP'] };
const texts: JsonObject = { type: 'array', items: text };
const textMap: JsonObject = { type: 'object', additionalProperties: text };
const dnsLabel: JsonObject = {
  type: 'string',
  maxLength: 63,
  pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
  'x-romana-says': DNS_LABEL_SAYS,
};

function object(properties: JsonObject, required: readonly string[] = []): JsonObject {
  return { type: 'object', properties, required };
}

function list(items: JsonObject, more: JsonObject = {}): JsonObject {
  return { type: 'array', items, ...more };
}

const conditions = list(
  object({ type: text, status: { type: 'string', enum: ['True', 'False', 'Unknown'] } }, ['type', 'status']),
);

const labelSelector = object({
  matchLabels: textMap,
  matchExpressions: list(object({ key: text, operator: text, values: texts })),
});

const container = object(
  {
    name: dnsLabel,
    image: { type: 'string', minLength: 1 },
    command: texts,
    args: texts,
    workingDir: text,
    env: list(object({ name: { type: 'string', minLength: 1 }, value: text, valueFrom: object({}) }, ['name'])),
    ports: list(object({ name: text, containerPort: port, hostPort: port, hostIP: text, protocol }, ['containerPort'])),
    imagePullPolicy: { type: 'string', enum: ['Always', 'IfNotPresent', 'Never'] },
    tty: { type: 'boolean' },
    stdin: { type: 'boolean' },
    resources: object({}),
    volumeMounts: list(object({ name: text, mountPath: text }, ['name', 'mountPath'])),
  },
  ['name', 'image'],
);

const pod = object(
  {
    spec: object({
      containers: list(container),
      initContainers: list(container),
      nodeName: text,
      nodeSelector: textMap,
      restartPolicy: { type: 'string', enum: ['Always', 'OnFailure', 'Never'] },
      hostNetwork: { type: 'boolean' },
      serviceAccountName: text,
      schedulerName: text,
      hostname: text,
      terminationGracePeriodSeconds: integer,
      activeDeadlineSeconds: {
        type: 'integer',
        minimum: 1,
        'x-romana-says': 'must be between 1 and 2147483647, inclusive',
      },
      tolerations: list(
        object({
          key: text,
          operator: { type: 'string', enum: ['Exists', 'Equal'] },
          value: text,
          effect: { type: 'string', enum: ['NoSchedule', 'PreferNoSchedule', 'NoExecute', ''] },
          tolerationSeconds: integer,
        }),
      ),
      volumes: list(object({ name: dnsLabel }, ['name'])),
    }),
    status: object({
      phase: { type: 'string', enum: ['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown', ''] },
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
      object(
        { key: text, value: text, effect: { type: 'string', enum: ['NoSchedule', 'PreferNoSchedule', 'NoExecute'] } },
        ['key', 'effect'],
      ),
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
  status: object({ phase: { type: 'string', enum: ['Active', 'Terminating'] }, conditions }),
});

const event = object({
  involvedObject: object({ kind: text, namespace: text, name: text, uid: text, apiVersion: text }),
  reason: text,
  message: text,
  type: text,
  count: integer,
  firstTimestamp: { type: 'string', format: 'date-time' },
  lastTimestamp: { type: 'string', format: 'date-time' },
  eventTime: { type: 'string', format: 'date-time' },
  source: object({ component: text, host: text }),
});

const lease = object({
  spec: object({
    holderIdentity: text,
    leaseDurationSeconds: { type: 'integer', minimum: 1, 'x-romana-says': 'must be greater than 0' },
    leaseTransitions: { type: 'integer', minimum: 0, 'x-romana-says': 'must be greater than or equal to 0' },
    acquireTime: { type: 'string', format: 'date-time' },
    renewTime: { type: 'string', format: 'date-time' },
  }),
});

const peers = list(
  object({
    podSelector: labelSelector,
    namespaceSelector: labelSelector,
    ipBlock: object({ cidr: text, except: texts }, ['cidr']),
  }),
);

/** The number of a port, or its name. */
const portOrName: JsonObject = {
  'x-kubernetes-int-or-string': true,
  minimum: 1,
  maximum: 65_535,
  'x-romana-says': 'must be between 1 and 65535, inclusive',
};

const policyPorts = list(
  object({
    protocol: { type: 'string', enum: ['TCP', 'UDP', 'SCTP'] },
    endPort: port,
    port: portOrName,
  }),
);

const networkPolicy = object(
  {
    spec: object({
      podSelector: labelSelector,
      policyTypes: list({ type: 'string', enum: ['Ingress', 'Egress'] }),
      ingress: list(object({ from: peers, ports: policyPorts })),
      egress: list(object({ to: peers, ports: policyPorts })),
    }),
  },
  ['spec'],
);

/** The schema of each built-in kind, without apiVersion, kind and metadata. */
export const BUILTIN_SCHEMAS = { namespace, node, pod, event, lease, networkPolicy } as const;
