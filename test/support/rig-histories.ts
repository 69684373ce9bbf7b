import * as fc from 'fast-check';

/** The namespaces of random worlds. */
export const TENANTS = ['red', 'blue', 'green', 'grey'] as const;
const POLICIES = ['one', 'two'];
/** Places for pods, in turn on the first host and on the second. */
const PLACES = 6;
/** How long after a fault was begun it comes, at most, in milliseconds: in the midst of the steps that follow it. */
const MAX_DELAY_MS = 60;

const segment = fc.constantFrom('a', 'b', '');
const app = fc.constantFrom('web', 'db');
const labels = fc.record({ segment, app }, { requiredKeys: [] });
// Mostly of one label: what names several selects hardly anybody.
const selector = fc.oneof(
  { weight: 4, arbitrary: fc.record({ segment }) },
  { weight: 1, arbitrary: fc.record({ app }) },
  { weight: 2, arbitrary: labels },
);
const toPorts = fc.uniqueArray(
  fc.constantFrom({ port: 80, protocol: 'TCP' }, { port: 81, protocol: 'TCP' }, { port: 80, protocol: 'UDP' }),
);
const from = fc.array(fc.record({ pods: selector }), { maxLength: 2 });
const allowIncoming = fc.oneof(
  { weight: 3, arbitrary: fc.record({ from }) },
  { weight: 3, arbitrary: fc.record({ from, toPorts }) },
  { weight: 1, arbitrary: fc.record({ toPorts }) },
);
const podSelector = fc.oneof(fc.constant({}), selector);
const spec = fc.oneof(
  { weight: 9, arbitrary: fc.record({ podSelector, allowIncoming }) },
  { weight: 1, arbitrary: fc.record({ podSelector }) },
);
const action = fc.constantFrom('Accept', 'Deny', 'Pass');
const matchLabels = selector.map((labels) => ({ matchLabels: labels }));
const labelSelector = fc.oneof(fc.constant({}), matchLabels);
const namespaceSelector = fc.oneof(
  fc.constant({}),
  fc.constantFrom(...TENANTS).map((name) => ({ matchLabels: { 'kubernetes.io/metadata.name': name } })),
);
/** Both families' prefixes of hosts, and of all pods. */
const BLOCKS = [
  ['10.0.0.0/8', '10.1.0.0/16'],
  ['10.0.0.0/22', '10.0.0.64/26'],
  ['fd00:10::/64', 'fd00:10::1:0:0:0/80'],
  ['0.0.0.0/0', '192.168.99.0/24'],
  ['::/0', 'fd00:99::/64'],
] as const;
const ipBlock = fc
  .tuple(fc.constantFrom(...BLOCKS), fc.boolean())
  .map(([[cidr, inner], less]) => ({ ipBlock: { cidr, ...(less ? { except: [inner] } : {}) } }));
const v1Peer = fc.oneof(
  { weight: 3, arbitrary: fc.record({ podSelector: labelSelector }) },
  { weight: 2, arbitrary: fc.record({ namespaceSelector, podSelector: labelSelector }) },
  { weight: 1, arbitrary: ipBlock },
);
const v1Port = fc.constantFrom(
  { port: 80 },
  { port: 81 },
  { port: 79, endPort: 80 },
  { port: 81, endPort: 30_000 },
  { port: 'http' },
  { protocol: 'UDP' },
);
const ports = fc.uniqueArray(v1Port, { minLength: 1, maxLength: 2 });
/** Gives the peers of a rule, if it has any, the name that they have in its direction. */
function withPeers({ peers, ...rest }: { readonly peers?: readonly object[] }, name: 'from' | 'to'): object {
  return peers === undefined ? rest : { ...rest, [name]: peers };
}

const v1Rules = (peers: 'from' | 'to') =>
  fc.array(
    fc
      .record({ peers: fc.array(v1Peer, { minLength: 1, maxLength: 2 }), ports }, { requiredKeys: [] })
      .map((rule) => withPeers(rule, peers)),
    { maxLength: 2 },
  );
const v1Spec = fc.record({
  podSelector: labelSelector,
  policyTypes: fc.constantFrom(['Ingress'], ['Egress'], ['Ingress', 'Egress']),
  ingress: v1Rules('from'),
  egress: v1Rules('to'),
});

const podsPeer = fc.record({ pods: fc.record({ namespaceSelector, podSelector: labelSelector }) });
const clusterPeer = fc.oneof(
  { weight: 2, arbitrary: namespaceSelector.map((namespaces) => ({ namespaces })) },
  { weight: 3, arbitrary: podsPeer },
);
const networks = fc.constantFrom(...BLOCKS).map(([cidr, inner]) => ({ networks: [cidr, inner] }));
const protocols = fc.uniqueArray(
  fc.constantFrom<object>(
    { tcp: { destinationPort: { number: 80 } } },
    { tcp: { destinationPort: { range: { start: 81, end: 90 } } } },
    { udp: { destinationPort: { number: 80 } } },
    { destinationNamedPort: 'http' },
  ),
  { minLength: 1, maxLength: 2 },
);
const clusterRules = (peers: 'from' | 'to', peer: fc.Arbitrary<object>) =>
  fc.array(
    fc
      .record(
        { action, peers: fc.array(peer, { minLength: 1, maxLength: 2 }), protocols },
        { requiredKeys: ['action', 'peers'] },
      )
      .map((rule) => withPeers(rule, peers)),
    { maxLength: 2 },
  );
const clusterSpec = fc.record({
  tier: fc.constantFrom('Admin', 'Baseline'),
  priority: fc.nat({ max: 2 }),
  subject: fc.oneof(
    namespaceSelector.map((namespaces) => ({ namespaces })),
    podsPeer,
  ),
  ingress: clusterRules('from', clusterPeer),
  egress: clusterRules('to', fc.oneof({ weight: 3, arbitrary: clusterPeer }, { weight: 1, arbitrary: networks })),
});

// Most of it in one namespace, where policies have something to choose from.
const namespace = fc.constantFrom('red', 'red', 'red', 'blue', 'blue', 'green', 'grey');
const place = fc.nat({ max: PLACES - 1 });
const policyName = fc.constantFrom(...POLICIES);
const steps = {
  start: fc.record({ do: fc.constant('start' as const), place, namespace, labels }),
  stop: fc.record({ do: fc.constant('stop' as const), place }),
  /** A pod ends by itself: its sandbox goes, its object stays and still shows its addresses. */
  finish: fc.record({ do: fc.constant('finish' as const), place }),
  /** A pod is deleted by force: its object goes at once, its sandbox when the batch is over. */
  force: fc.record({ do: fc.constant('force' as const), place }),
  label: fc.record({ do: fc.constant('label' as const), place, labels }),
  isolate: fc.record({
    do: fc.constant('isolate' as const),
    namespace,
    value: fc.constantFrom('on' as const, 'on' as const, 'off' as const),
  }),
  policy: fc.record({ do: fc.constant('policy' as const), namespace, name: policyName, spec }),
  v1: fc.record({ do: fc.constant('v1' as const), namespace, name: policyName, spec: v1Spec }),
  cluster: fc.record({ do: fc.constant('cluster' as const), name: policyName, spec: clusterSpec }),
  deleteOther: fc.record({
    do: fc.constant('deleteOther' as const),
    name: policyName,
    namespace: fc.option(namespace, { nil: undefined }),
  }),
  deletePolicy: fc.record({ do: fc.constant('deletePolicy' as const), namespace, name: policyName }),
  /** An agent ends, or is killed, a moment later, and starts again. */
  restart: fc.record({
    do: fc.constant('restart' as const),
    place,
    signal: fc.constantFrom('SIGTERM' as const, 'SIGKILL' as const, 'SIGKILL' as const),
    delayMs: fc.nat({ max: MAX_DELAY_MS }),
  }),
  /** A host loses its power and comes back, and with it its pods, in new sandboxes. */
  reboot: fc.record({ do: fc.constant('reboot' as const), place }),
  controller: fc.record({ do: fc.constant('controller' as const) }),
  /** The API server is away while a pod goes, perhaps with its agent killed, and comes back. */
  apiServer: fc.record({ do: fc.constant('apiServer' as const), place, kill: fc.boolean() }),
  /** A namespace goes with all that is in it, and comes again. */
  renew: fc.record({ do: fc.constant('renew' as const), namespace }),
};
const step = fc.oneof(
  { weight: 3, arbitrary: steps.start },
  { weight: 1, arbitrary: steps.stop },
  { weight: 1, arbitrary: steps.finish },
  { weight: 1, arbitrary: steps.force },
  { weight: 6, arbitrary: steps.label },
  { weight: 2, arbitrary: steps.isolate },
  { weight: 4, arbitrary: steps.policy },
  { weight: 3, arbitrary: steps.v1 },
  { weight: 2, arbitrary: steps.cluster },
  { weight: 2, arbitrary: steps.deleteOther },
  { weight: 1, arbitrary: steps.deletePolicy },
  { weight: 1, arbitrary: steps.renew },
);

const fault = fc.oneof(
  { weight: 4, arbitrary: steps.restart },
  { weight: 1, arbitrary: steps.reboot },
  { weight: 1, arbitrary: steps.controller },
  { weight: 1, arbitrary: steps.apiServer },
);

const stepOrFault = fc.oneof({ weight: 5, arbitrary: step }, { weight: 1, arbitrary: fault });

/** One change of a random world. */
export type Step = typeof stepOrFault extends fc.Arbitrary<infer S> ? S : never;

const FAULTS: ReadonlySet<Step['do']> = new Set(['restart', 'reboot', 'controller', 'apiServer']);

/** Whether something ends or is killed in a step. */
export function isFault(each: Step): boolean {
  return FAULTS.has(each.do);
}

/** A pod for each place. */
const pods = fc.tuple(
  ...Array.from({ length: PLACES }, (_, n) =>
    steps.start.map(({ namespace, labels }) => ({ do: 'start' as const, place: n, namespace, labels })),
  ),
);

/** Every namespace, most of them isolated. */
const isolation = fc.tuple(
  ...TENANTS.map((name) =>
    fc
      .constantFrom('on' as const, 'on' as const, 'off' as const)
      .map((value) => ({ do: 'isolate' as const, namespace: name, value })),
  ),
);

/**
 * Sequences of batches of changes; packets and hosts are looked at after each batch. The first one fills all places.
 *
 * @param options `faults`: agents, controller, API server and hosts end and come back among the changes.
 */
export function histories({ faults }: { readonly faults: boolean }): fc.Arbitrary<Step[][]> {
  const one: fc.Arbitrary<Step> = faults ? stepOrFault : step;
  const policies = fc.array(steps.policy, { minLength: 2, maxLength: 4 });
  const first = fc.tuple(isolation, policies, pods).map((parts): Step[] => parts.flat());
  const later = fc.array(fc.array(one, { minLength: 1, maxLength: 6 }), { minLength: 4, maxLength: 10 });
  return fc.tuple(first, later).map(([batch, batches]) => [batch].concat(batches));
}
