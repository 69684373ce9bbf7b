import type { Address } from '../addr/address.ts';
import { DEFAULT_PLANS, encode, hostRange } from '../addr/plan.ts';
import type { Plan } from '../addr/plan.ts';
import { unwrap } from '../lib/result.ts';
import type { Exception, Host } from '../objects/host.ts';
import type { Labels, Meta } from '../objects/meta.ts';
import { NAMESPACE_NAME_LABEL } from '../objects/namespace.ts';
import type { Namespace } from '../objects/namespace.ts';
import type { Pod } from '../objects/pod.ts';
import type { Tenant } from '../objects/tenant.ts';
import { parseDemoPolicy } from '../objects/demo-policy.ts';
import { demoPolicy } from '../policy/from-demo.ts';
import type { Policy } from '../policy/model.ts';
import { rulesetText } from '../nft/text.ts';
import type { Desired } from './desired.ts';
import type { Lease, Snapshot } from './snapshot.ts';

/** One pod of a fixture. */
export interface FixturePod {
  readonly namespace: string;
  readonly name: string;
  /** Today's labels. */
  readonly labels?: Readonly<Record<string, string>>;
  /** The segment that its address is of; undefined: that of its labels. */
  readonly leased?: string | null;
  readonly host: number;
  readonly endpoint: number;
  /** In the shared pool. */
  readonly pool?: boolean;
  readonly more?: Partial<Pod>;
}

/** A small cluster to plan for, as tests write it. This host is minion1, host 1. */
export interface Fixture {
  readonly plans?: readonly Plan[];
  /** Host ids; the node of id N is minionN at 192.168.99.(10+N) and fd00:99::(10+N). */
  readonly hosts?: readonly number[];
  /** By namespace: its id (0: pooled) and its segments. */
  readonly tenants?: Readonly<Record<string, { id: number; segments?: Readonly<Record<string, number>> }>>;
  /** Namespaces that there are, and whether they are isolated. */
  readonly isolated?: Readonly<Record<string, boolean>>;
  readonly pods?: readonly FixturePod[];
  /** Pods elsewhere that the extra watches show, too. */
  readonly watched?: readonly FixturePod[];
  /** Pods elsewhere that their own hosts publish. */
  readonly exceptions?: readonly FixturePod[];
  readonly policies?: readonly Policy[];
  readonly masquerade?: boolean;
}

/** Metadata with what a test does not care about filled in. */
export function meta(namespace: string, name: string, labels: Labels = new Map()): Meta {
  const uid = namespace === '' ? name : `${namespace}/${name}`;
  return { name, namespace, uid, resourceVersion: '1', labels, annotations: new Map(), finalizers: [] };
}

/** The policy of the founding page, in a namespace: from `from` to port 80 of `to`, both labels in full. */
export function pol1(namespace: string, spec: object = POL1_SPEC, name = 'pol1'): Policy {
  const json = { apiVersion: 'romana.io/demo/v1', kind: 'NetworkPolicy', metadata: { name, namespace }, spec };
  return demoPolicy(unwrap(parseDemoPolicy(json)));
}

/** What the founding page's pol1 says. */
export const POL1_SPEC = {
  podSelector: { segment: 'backend' },
  allowIncoming: { toPorts: [{ port: 80, protocol: 'TCP' }], from: [{ pods: { segment: 'frontend' } }] },
};

/** Two tenants with the segments of the founding page. */
export const TENANTS = {
  'tenant-a': { id: 1, segments: { frontend: 1, backend: 2 } },
  'tenant-b': { id: 2, segments: { frontend: 1, backend: 2 } },
};

/** The snapshot that host 1 has of a fixture. */
export function snapshotOf(fixture: Fixture): Snapshot {
  const plans = fixture.plans ?? DEFAULT_PLANS;
  const tenants = tenantsOf(fixture);
  const addresses = (pod: FixturePod): Address[] => addressesOf(plans, tenants, pod);
  const local = (fixture.pods ?? []).filter(({ host }) => host === 1);
  const remote = [...(fixture.pods ?? []), ...(fixture.watched ?? [])].filter(({ host }) => host !== 1);
  const hosts = (fixture.hosts ?? [0, 1, 2]).map((id) =>
    hostOf(
      plans,
      id,
      (fixture.exceptions ?? []).filter((pod) => pod.host === id).map((pod) => exceptionOf(pod, addresses(pod))),
    ),
  );
  const namespaces = Object.entries(fixture.isolated ?? { 'tenant-a': true, 'tenant-b': true });
  return {
    network: {
      meta: meta('', 'default'),
      plans,
      segmentLabel: 'segment',
      reservedCIDRs: [],
      mtu: 0,
      masquerade: { enabled: fixture.masquerade ?? false, excludeCIDRs: [] },
      releases: [],
    },
    node: 'minion1',
    hosts: new Map(hosts.map((host) => [host.meta.name, host])),
    tenants,
    namespaces: new Map(
      namespaces.map(([name, isolated]): [string, Namespace] => [
        name,
        { meta: meta('', name, new Map([[NAMESPACE_NAME_LABEL, name]])), isolated, problems: [] },
      ]),
    ),
    localPods: new Map(local.map((pod) => podOf(pod, addresses(pod))).map((pod) => [pod.meta.uid, pod])),
    peerPods: remote.map((pod) => podOf(pod, addresses(pod))),
    policies: fixture.policies ?? [],
    leases: local.map((pod) => leaseOf(pod, addresses(pod))),
    uplinks: ['eth0'],
  };
}

/** The sets and chains of a plan whose names match, as text without the frame of the table. */
export function excerpt({ ruleset }: Desired, names: RegExp): string {
  const chosen = {
    table: ruleset.table,
    sets: new Map([...ruleset.sets].filter(([name]) => names.test(name))),
    chains: new Map([...ruleset.chains].filter(([name]) => names.test(name))),
  };
  return rulesetText(chosen)
    .replace(/^table.*\n/, '')
    .replace(/\}\n$/, '')
    .replaceAll(/^\t/gm, '');
}

function tenantsOf(fixture: Fixture): ReadonlyMap<string, Tenant> {
  return new Map(
    Object.entries(fixture.tenants ?? TENANTS).map(([name, { id, segments = {} }]) => [
      name,
      {
        meta: meta('', name),
        id,
        pooled: id === 0,
        segments: Object.entries(segments).map(([segment, number]) => ({ name: segment, id: number })),
        released: [],
      },
    ]),
  );
}

function addressesOf(plans: readonly Plan[], tenants: ReadonlyMap<string, Tenant>, pod: FixturePod): Address[] {
  const segment = segmentOf(pod);
  const tenant = tenants.get(pod.namespace);
  const number = segment === null ? 0 : (tenant?.segments.find(({ name }) => name === segment)?.id ?? 0);
  const pool = pod.pool === true || (tenant?.id ?? 0) === 0;
  const fields = {
    host: pod.host,
    endpoint: pod.endpoint,
    tenant: pool ? 0 : (tenant?.id ?? 0),
    segment: pool ? 0 : number,
  };
  return plans.map((plan) => unwrap(encode(plan, fields)));
}

function segmentOf(pod: FixturePod): string | null {
  return pod.leased === undefined ? (pod.labels?.['segment'] ?? null) : pod.leased;
}

function hostOf(plans: readonly Plan[], id: number, exceptions: readonly Exception[]): Host {
  return {
    meta: meta('', `minion${id}`),
    id,
    ranges: plans.map((plan) => hostRange(plan, id)),
    addresses: [`192.168.99.${10 + id}` as Address, `fd00:99::${10 + id}` as Address],
    labels: new Map([['rack', String(id)]]),
    exceptions,
  };
}

function podOf(pod: FixturePod, addresses: readonly Address[]): Pod {
  return {
    meta: meta(pod.namespace, pod.name, new Map(Object.entries(pod.labels ?? {}))),
    nodeName: `minion${pod.host}`,
    hostNetwork: false,
    phase: 'Running',
    addresses,
    ports: [],
    serviceAccountName: 'default',
    ...pod.more,
  };
}

function exceptionOf(pod: FixturePod, addresses: readonly Address[]): Exception {
  const { uid, labels } = podOf(pod, addresses).meta;
  return { namespace: pod.namespace, pod: pod.name, uid, addresses, labels };
}

function leaseOf(pod: FixturePod, addresses: readonly Address[]): Lease {
  return {
    uid: `${pod.namespace}/${pod.name}`,
    containerId: pod.name,
    ifname: 'eth0',
    hostInterface: `roma-${pod.name}`.slice(0, 15),
    namespace: pod.namespace,
    pod: pod.name,
    segment: segmentOf(pod),
    addresses,
    hostMac: '0a:00:00:00:00:01',
    podMac: '0a:00:00:00:00:02',
  };
}
