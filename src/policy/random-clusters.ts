import * as fc from 'fast-check';
import { parseAddress } from '../addr/address.ts';
import { parseCidr } from '../addr/cidr.ts';
import { unwrap } from '../lib/result.ts';
import { clusterOf, type Cluster } from './cluster.ts';
import type { Peer, Policy, PortMatch, Rule } from './model.ts';
import { demo, namespace, podsIn, podsWhere, policy, selector } from './test-world.ts';

/** Random whole clusters, for tests: few names and labels, so that policies mean somebody. */
const NAMESPACES = ['x', 'y', 'z'] as const;
const NODES = ['m', 'n'] as const;

const cidr = fc
  .constantFrom(
    '0.0.0.0/0',
    '::/0',
    '10.0.0.0/8',
    '10.0.0.0/30',
    '10.0.0.1/32',
    '10.0.1.0/24',
    'fd00::/64',
    'fd00::1/128',
  )
  .map((text) => unwrap(parseCidr(text)));
const podLabels = fc.constantFrom('', 'app=a', 'app!=a', 'app in (a,b)', '!app', 'segment=s');
const selection = fc.oneof(
  fc.tuple(fc.subarray([...NAMESPACES], { minLength: 1 }), podLabels).map(([names, pods]) => podsIn(names, pods)),
  fc
    .tuple(fc.constantFrom('', 'team=t', 'team!=t', 'kubernetes.io/metadata.name=x'), podLabels)
    .map(([ns, pods]) => podsWhere(ns, pods)),
);
const peer: fc.Arbitrary<Peer> = fc.oneof(
  selection.map((s) => ({ kind: 'pods' as const, selection: s })),
  fc.constantFrom('', 'zone=m').map((text) => ({ kind: 'nodes' as const, selector: selector(text) })),
  fc
    .array(fc.record({ cidr, except: fc.array(cidr, { maxLength: 1 }) }), { minLength: 1, maxLength: 2 })
    .map((blocks) => ({ kind: 'cidrs' as const, blocks })),
);
const portMatch: fc.Arbitrary<PortMatch> = fc.record({
  protocol: fc.constantFrom('TCP' as const, 'UDP' as const),
  ports: fc.constantFrom('any' as const, { from: 80, to: 80 }, { from: 80, to: 90 }, { name: 'web' }, { name: 'dns' }),
});
const anyOr = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<readonly T[] | 'any'> =>
  fc.oneof(fc.constant('any' as const), fc.array(one, { maxLength: 3 }));
const rulesOf = (...actions: Rule['action'][]): fc.Arbitrary<Rule[]> =>
  fc.array(
    fc.record({
      action: fc.constantFrom(...actions),
      peers: anyOr(peer),
      ports: anyOr(portMatch),
      field: fc.constant('f'),
    }),
    {
      maxLength: 3,
    },
  );
const accepts = rulesOf('Accept');
const anything = rulesOf('Accept', 'Deny', 'Pass');
const onePolicy: fc.Arbitrary<Policy> = fc.oneof(
  fc
    .record({
      ns: fc.constantFrom(...NAMESPACES),
      name: fc.constantFrom('p', 'q'),
      pods: podLabels,
      isolates: fc.record({ ingress: fc.boolean(), egress: fc.boolean() }),
      ingress: accepts,
      egress: accepts,
    })
    .map(({ ns, name, pods, ...more }) => policy('v1', `${ns}/${name}`, { subject: podsIn([ns], pods), ...more })),
  fc
    .record({ ns: fc.constantFrom(...NAMESPACES), from: fc.constantFrom({}, { app: 'a' }) })
    .map(({ ns, from }) => demo(`${ns}/d`, {}, { from: [{ pods: from }] })),
  fc
    .record({
      source: fc.constantFrom('admin' as const, 'baseline' as const),
      name: fc.constantFrom('c1', 'c2', 'c3'),
      priority: fc.nat(2),
      subject: selection,
      ingress: anything,
      egress: anything,
    })
    .map(({ source, name, ...more }) => policy(source, name, more)),
);

/** Policies of every kind, no two of one name. */
export const policies: fc.Arbitrary<Policy[]> = fc.uniqueArray(onePolicy, {
  maxLength: 7,
  selector: (p) => `${p.source} ${p.ref.namespace}/${p.ref.name}`,
});

const port = fc.constantFrom(
  { name: 'web', protocol: 'TCP' as const, port: 80 },
  { name: 'web', protocol: 'TCP' as const, port: 8080 },
  { name: 'dns', protocol: 'UDP' as const, port: 53 },
  { name: '', protocol: 'TCP' as const, port: 80 },
);
const addresses: fc.Arbitrary<readonly string[]> = fc.oneof(
  fc.constant<string[]>([]),
  fc.constantFrom('10.0.0.1', '10.0.0.2', '10.0.1.9').map((a) => [a]),
  fc.constantFrom('fd00::1', 'fd01::2').map((a) => [a]),
  fc.tuple(fc.constantFrom('10.0.0.1', '10.9.0.3'), fc.constantFrom('fd00::1', 'fd01::2')),
);
const pods = fc.uniqueArray(
  fc.record({
    ns: fc.constantFrom(...NAMESPACES),
    name: fc.constantFrom('a', 'b', 'c', 'd'),
    labels: fc.record(
      { app: fc.constantFrom('a', 'b'), segment: fc.constant('s'), unique: fc.string() },
      { requiredKeys: [] },
    ),
    node: fc.constantFrom('', ...NODES),
    hostNetwork: fc.nat(4).map((n) => n === 0),
    addresses,
    ports: fc.array(port, { maxLength: 2 }),
  }),
  { maxLength: 10, selector: ({ ns, name }) => `${ns}/${name}` },
);

/** A cluster with `policies`. */
export function clustersWith(all: fc.Arbitrary<readonly Policy[]>): fc.Arbitrary<Cluster> {
  return fc.record({ pods, all, isolated: fc.boolean() }).map((world) =>
    clusterOf({
      segmentLabel: 'segment',
      namespaces: [namespace('x', world.isolated, { team: 't' }), namespace('y')],
      nodes: NODES.map((name, i) => ({
        meta: metaOf('', name, { zone: name }),
        addresses: [unwrap(parseAddress(`192.168.0.${i + 1}`)), unwrap(parseAddress(`fd99::${i + 1}`))],
        problems: [],
      })),
      pods: world.pods.map((pod) => ({
        meta: metaOf(pod.ns, pod.name, pod.labels),
        nodeName: pod.node,
        hostNetwork: pod.hostNetwork,
        phase: '',
        addresses: pod.addresses.map((text) => unwrap(parseAddress(text))),
        ports: pod.ports,
        serviceAccountName: '',
      })),
      policies: world.all,
    }),
  );
}

function metaOf(
  ns: string,
  name: string,
  labels: Record<string, string>,
): Parameters<typeof clusterOf>[0]['pods'][number]['meta'] {
  const empty = { uid: '', resourceVersion: '', annotations: new Map<string, string>(), finalizers: [] };
  return { ...empty, namespace: ns, name, labels: new Map(Object.entries(labels)) };
}
