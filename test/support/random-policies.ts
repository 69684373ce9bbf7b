import * as fc from 'fast-check';

/** The namespaces of random worlds and histories. */
export const TENANTS = ['red', 'blue', 'green', 'grey'] as const;
/** One of them. */
export type Tenant = (typeof TENANTS)[number];

/** Values of the segment label. */
export const segment = fc.constantFrom('a', 'b', '');
const app = fc.constantFrom('web', 'db');
/** Labels of pods. */
export const labels = fc.record({ segment, app }, { requiredKeys: [] });
/** Of namespaces, beside their names. */
export const team = fc.constantFrom('x', 'y');
/** Of nodes. */
export const zone = fc.constantFrom('m', 'n');

// Mostly of one label: what names several selects hardly anybody.
const someLabels = fc.oneof(
  { weight: 4, arbitrary: fc.record({ segment }) },
  { weight: 1, arbitrary: fc.record({ app }) },
  { weight: 2, arbitrary: labels },
);
const someSegment = fc.oneof(
  { weight: 4, arbitrary: fc.record({ segment }) },
  { weight: 1, arbitrary: fc.constant({}) },
);

function expressions(key: string, value: fc.Arbitrary<string>): fc.Arbitrary<object> {
  return fc.oneof(
    fc.record({
      key: fc.constant(key),
      operator: fc.constantFrom('In', 'NotIn'),
      values: fc.uniqueArray(value, { minLength: 1, maxLength: 2 }),
    }),
    fc.record({ key: fc.constant(key), operator: fc.constantFrom('Exists', 'DoesNotExist') }),
  );
}

function selectorOf(matched: fc.Arbitrary<object>, expression: fc.Arbitrary<object>): fc.Arbitrary<object> {
  return fc.oneof(
    { weight: 2, arbitrary: fc.constant({}) },
    { weight: 4, arbitrary: matched.map((matchLabels) => ({ matchLabels })) },
    {
      weight: 2,
      arbitrary: fc.array(expression, { minLength: 1, maxLength: 2 }).map((matchExpressions) => ({ matchExpressions })),
    },
  );
}

const anySelector = selectorOf(someLabels, fc.oneof(expressions('segment', segment), expressions('app', app)));
const segmentSelector = selectorOf(someSegment, expressions('segment', segment));
const namespaceSelector = fc.oneof(
  fc.constant({}),
  fc.constantFrom(...TENANTS).map((name) => ({ matchLabels: { 'kubernetes.io/metadata.name': name } })),
  team.map((value) => ({ matchLabels: { team: value } })),
  expressions('team', team).map((expression) => ({ matchExpressions: [expression] })),
);

/** Both families' prefixes of hosts, of all pods, of nodes, of what is outside. */
const BLOCKS = [
  ['10.0.0.0/8', '10.1.0.0/16'],
  ['10.0.0.0/22', '10.0.0.64/26'],
  ['fd00:10::/64', 'fd00:10::1:0:0:0/80'],
  ['0.0.0.0/0', '192.168.99.0/24'],
  ['0.0.0.0/0', '203.0.113.7/32'],
  ['::/0', 'fd00:99::/64'],
  ['::/0', '2001:db8::/32'],
] as const;

const ipBlock = fc
  .tuple(fc.constantFrom(...BLOCKS), fc.boolean())
  .map(([[cidr, inner], less]) => ({ ipBlock: { cidr, ...(less ? { except: [inner] } : {}) } }));
const numbered = fc.constantFrom<object>(
  { port: 80 },
  { port: 81 },
  { port: 79, endPort: 80 },
  { port: 81, endPort: 30_000 },
  { protocol: 'UDP' },
  { protocol: 'SCTP', port: 80 },
);
const named = fc.constantFrom<object>({ port: 'http' }, { protocol: 'UDP', port: 'dns' });
const anyPort = fc.oneof({ weight: 3, arbitrary: numbered }, { weight: 1, arbitrary: named });

/** Gives the peers of a rule, if it has any, the name that they have in its direction. */
function withPeers({ peers, ...rest }: { readonly peers?: readonly object[] }, name: 'from' | 'to'): object {
  return peers === undefined ? rest : { ...rest, [name]: peers };
}

/** A networking.k8s.io/v1 NetworkPolicy's; now and then one whose types are to be defaulted. */
function v1SpecOf(podSelector: fc.Arbitrary<object>, port: fc.Arbitrary<object>): fc.Arbitrary<object> {
  const peer = fc.oneof(
    { weight: 3, arbitrary: fc.record({ podSelector }) },
    { weight: 2, arbitrary: fc.record({ namespaceSelector, podSelector }) },
    { weight: 1, arbitrary: fc.record({ namespaceSelector }) },
    { weight: 1, arbitrary: ipBlock },
  );
  const peers = fc.array(peer, { minLength: 1, maxLength: 2 });
  const ports = fc.uniqueArray(port, { minLength: 1, maxLength: 2 });
  const rules = (name: 'from' | 'to'): fc.Arbitrary<object[]> => {
    const rule = fc.record({ peers, ports }, { requiredKeys: [] });
    return fc.array(
      rule.map((each) => withPeers(each, name)),
      { maxLength: 2 },
    );
  };
  const policyTypes = fc.constantFrom(['Ingress'], ['Egress'], ['Ingress', 'Egress']);
  return fc.record(
    { podSelector, policyTypes, ingress: rules('from'), egress: rules('to') },
    { requiredKeys: ['podSelector', 'ingress', 'egress'] },
  );
}

const nodes = fc.oneof(
  fc.constant({ nodes: {} }),
  zone.map((value) => ({ nodes: { matchLabels: { zone: value } } })),
);
const networks = fc.constantFrom(...BLOCKS).map(([cidr, inner]) => ({ networks: [cidr, inner] }));
const byNumber = fc.uniqueArray(
  fc.constantFrom<object>(
    { tcp: { destinationPort: { number: 80 } } },
    { tcp: { destinationPort: { range: { start: 81, end: 90 } } } },
    { udp: { destinationPort: { number: 80 } } },
    { sctp: { destinationPort: { number: 80 } } },
  ),
  { minLength: 1, maxLength: 2 },
);
// The API server takes names only beside peers that can have them.
const byName = fc.constantFrom('http', 'dns').map((name) => [{ destinationNamedPort: name }]);

function clusterRule(
  peers: 'from' | 'to',
  peer: fc.Arbitrary<object>,
  protocols: fc.Arbitrary<object[]>,
): fc.Arbitrary<object> {
  return fc
    .record(
      {
        action: fc.constantFrom('Accept', 'Deny', 'Pass'),
        peers: fc.array(peer, { minLength: 1, maxLength: 2 }),
        protocols,
      },
      { requiredKeys: ['action', 'peers'] },
    )
    .map((rule) => withPeers(rule, peers));
}

const byAny = fc.oneof({ weight: 2, arbitrary: byNumber }, { weight: 1, arbitrary: byName });
/** A ClusterNetworkPolicy's, of either tier; priorities are few, so that names decide as well. */
function clusterSpecOf(podSelector: fc.Arbitrary<object>, ports: fc.Arbitrary<object[]>): fc.Arbitrary<object> {
  const pods = fc.record({ pods: fc.record({ namespaceSelector, podSelector }) });
  const whole = namespaceSelector.map((namespaces) => ({ namespaces }));
  const peer = fc.oneof({ weight: 2, arbitrary: whole }, { weight: 3, arbitrary: pods });
  const outward = fc.oneof(whole, pods, nodes, networks, fc.constant({ domainNames: ['example.org'] }));
  return fc.record({
    tier: fc.constantFrom('Admin', 'Baseline'),
    priority: fc.nat({ max: 2 }),
    subject: fc.oneof(whole, pods),
    ingress: fc.array(clusterRule('from', peer, ports), { maxLength: 2 }),
    egress: fc.array(fc.oneof(clusterRule('to', peer, ports), clusterRule('to', outward, byNumber)), { maxLength: 2 }),
  });
}

const toPorts = fc.uniqueArray(
  fc.constantFrom({ port: 80, protocol: 'TCP' }, { port: 81, protocol: 'TCP' }, { port: 80, protocol: 'UDP' }),
);

/** A demo policy's. */
function demoSpecOf(matched: fc.Arbitrary<object>): fc.Arbitrary<object> {
  const from = fc.array(fc.record({ pods: matched }), { maxLength: 2 });
  const allowIncoming = fc.oneof(
    { weight: 3, arbitrary: fc.record({ from }) },
    { weight: 3, arbitrary: fc.record({ from, toPorts }) },
    { weight: 1, arbitrary: fc.record({ toPorts }) },
  );
  const podSelector = fc.oneof(fc.constant({}), matched);
  return fc.oneof(
    { weight: 9, arbitrary: fc.record({ podSelector, allowIncoming }) },
    { weight: 1, arbitrary: fc.record({ podSelector }) },
  );
}

/** Specs of each kind of policy. */
export type PolicySpecs = Readonly<Record<'v1' | 'demo' | 'cluster', fc.Arbitrary<object>>>;

/** Of all that policies can say. */
export const ANY_SPECS: PolicySpecs = {
  v1: v1SpecOf(anySelector, anyPort),
  demo: demoSpecOf(someLabels),
  cluster: clusterSpecOf(anySelector, byAny),
};

/**
 * Of what needs no watch on peers where segments and namespaces have bits. One watch shows pods of which other policies
 * then profit, for a minute after it is needed last: with the others no agent ever stands on the bits alone.
 */
export const BITS_SPECS: PolicySpecs = {
  v1: v1SpecOf(segmentSelector, numbered),
  demo: demoSpecOf(someSegment),
  cluster: clusterSpecOf(segmentSelector, byNumber),
};

/** The ports by name that a pod is made with: the same names stand for other ports elsewhere. */
export function namedPorts(
  its: Readonly<Record<string, string>>,
): { name: string; protocol: string; containerPort: number }[] {
  const http = { name: 'http', protocol: 'TCP' };
  if (its['app'] === 'web') return [{ ...http, containerPort: 80 }];
  if (its['app'] !== 'db') return [];
  return [
    { ...http, containerPort: 81 },
    { name: 'dns', protocol: 'UDP', containerPort: 80 },
  ];
}
