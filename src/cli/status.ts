import { stringify } from 'yaml';
import { formatPlan } from '../addr/plan.ts';
import { isNotFound, type KubeClient } from '../kube/client.ts';
import { asRecord, asText, identityOf } from '../kube/json.ts';
import type { Clock } from '../lib/clock.ts';
import { Field } from '../objects/field.ts';
import { parseHostReport, readCondition } from '../objects/host-report.ts';
import { parseHost } from '../objects/host.ts';
import { formatFieldErrors } from '../objects/meta.ts';
import { parseNamespace } from '../objects/namespace.ts';
import { parseNetworkInForce } from '../objects/network.ts';
import { parsePod } from '../objects/pod.ts';
import { HOST_REPORTS, HOSTS, LEASES, NAMESPACES, NETWORKS, NODES, PODS, TENANTS } from '../objects/resources.ts';
import { parseTenant } from '../objects/tenant.ts';
import { NETWORK_NAME, readObjects } from './cluster-view.ts';
import { readinessOf } from './hosts.ts';
import { readPolicies } from './read-policies.ts';
import { formatTable, type ListArguments, type ListDependencies, type Output } from './listing.ts';
import { type Finding, findings, type LeaderView, type NetworkView, type Observation } from './status-findings.ts';
import { poolFamiliesOf } from './tenants.ts';

/** The cluster at a glance, as `romana status -o json` has it. */
export interface ClusterStatus {
  /** Whether no finding is an error. */
  readonly well: boolean;
  /** `plans` as `romana ip --plan` takes them; null where the spec can't be read or the controller has not said. */
  readonly network: { readonly plans: readonly string[] | null; readonly hostIdsLeft: number | null };
  /** Nodes; ready are those whose condition Ready is True and that have a Host. */
  readonly hosts: { readonly total: number; readonly ready: number };
  /** `holder` is '' when nobody leads. `renewedSeconds`: since the last renewal, null when there was none. */
  readonly controller: {
    readonly holder: string;
    readonly fresh: boolean;
    readonly renewedSeconds: number | null;
  };
  /** `pooled`: whose pods get addresses of the shared pool, in any family. */
  readonly tenants: { readonly total: number; readonly pooled: number };
  /** Addresses in use on all hosts: of segments, and of the shared pool. */
  readonly use: { readonly endpoints: number; readonly pool: number };
  readonly policies: { readonly total: number; readonly invalid: number };
  readonly findings: readonly Finding[];
}

/** What `statusCommand` works with. */
export interface StatusDependencies extends ListDependencies {
  readonly clock: Clock;
  /** The Lease of the controllers, and where it may be: in the first of these namespaces that has it. */
  readonly lease: { readonly namespaces: readonly string[]; readonly name: string };
}

/** A leader renews every second or so; by then it has, whatever the clocks say. In milliseconds. */
const SECOND_LOOK_MS = 3_000;

/** Sums up what was seen. */
export function clusterStatus(seen: Observation): ClusterStatus {
  const { network, leader, nodes, hosts, tenants, reports, policies } = seen;
  const found = findings(seen);
  const withHost = new Set(hosts.objects.map(({ meta }) => meta.name));
  const sum = (key: 'endpoints' | 'pool'): number => reports.objects.reduce((n, { use }) => n + use[key], 0);
  return {
    well: found.every(({ severity }) => severity !== 'error'),
    network: { plans: network?.plans?.map(formatPlan) ?? null, hostIdsLeft: network?.hostIdsLeft ?? null },
    hosts: { total: nodes.length, ready: nodes.filter(({ ready, name }) => ready && withHost.has(name)).length },
    controller: {
      holder: leader?.holder ?? '',
      fresh: leader?.fresh ?? false,
      renewedSeconds: leader?.renewedSeconds ?? null,
    },
    tenants: {
      total: tenants.objects.length,
      pooled: tenants.objects.filter((tenant) => poolFamiliesOf(network?.plans ?? [], tenant).length > 0).length,
    },
    use: { endpoints: sum('endpoints'), pool: sum('pool') },
    policies: { total: policies.objects.length + policies.unreadable.length, invalid: policies.unreadable.length },
    findings: found,
  };
}

/** The status as text; for people, a line for each part, then one for each finding. */
export function formatClusterStatus(status: ClusterStatus, output: Output): string {
  if (output === 'json') return `${JSON.stringify(status, undefined, 2)}\n`;
  if (output === 'yaml') return stringify(status);
  const { network, hosts, controller, tenants, use, policies, well } = status;
  const renewed = controller.renewedSeconds === null ? '' : `, lease renewed ${controller.renewedSeconds} s ago`;
  const left = network.hostIdsLeft === null ? '' : `; ${network.hostIdsLeft} host ids left`;
  const parts = formatTable([
    ['network', `${network.plans?.join(' ') ?? 'none that can be read'}${left}`],
    ['controller', controller.holder === '' ? 'nobody leads' : `${controller.holder} leads${renewed}`],
    ['hosts', `${hosts.ready} of ${hosts.total} ready`],
    ['tenants', `${tenants.total}, ${tenants.pooled} in the shared pool`],
    ['addresses', `${use.endpoints + use.pool} in use, ${use.pool} of the shared pool`],
    ['policies', `${policies.total}, ${policies.invalid} invalid`],
  ]);
  const lines = status.findings.map(({ severity, about, what, action }) => {
    const text = `${severity === 'error' ? 'wrong' : 'warning'}: ${about} ${what}; ${action}`;
    return text.replaceAll(/\p{Cc}+/gu, ' ');
  });
  return [parts, ...lines, ...(well ? ['all is well'] : []), ''].join('\n');
}

/** Asks for everything that the status tells of. @throws Error as `readObjects` */
export async function observe(
  client: KubeClient,
  { clock, lease }: Pick<StatusDependencies, 'clock' | 'lease'>,
): Promise<Observation> {
  const [network, leader, nodes, hosts, reports, tenants, namespaces, policies, pods] = await Promise.all([
    readNetworkView(client),
    readLeader(client, lease, clock),
    client.list(NODES),
    readObjects(client, HOSTS, parseHost),
    readObjects(client, HOST_REPORTS, parseHostReport),
    readObjects(client, TENANTS, parseTenant),
    readObjects(client, NAMESPACES, parseNamespace),
    readPolicies(client),
    readObjects(client, PODS, parsePod),
  ]);
  const now = clock.now();
  const readiness = nodes.items.map(readinessOf);
  return { now, network, leader, nodes: readiness, hosts, reports, tenants, namespaces, policies, pods };
}

async function readNetworkView(client: KubeClient): Promise<NetworkView | undefined> {
  const { objects } = await readObjects(client, NETWORKS, (json) => ({ ok: true, value: json }));
  const json = objects.find((item) => identityOf(item).name === NETWORK_NAME);
  if (json === undefined) return undefined;
  const network = parseNetworkInForce(json);
  const status = Field.root(asRecord(json)?.['status']);
  const left = asRecord(status.value)?.['hostIdsLeft'];
  return {
    plans: network.ok ? network.value.plans : undefined,
    fault: network.ok ? '' : formatFieldErrors(network.error),
    hostIdsLeft: typeof left === 'number' ? left : undefined,
    conditions: status.get('conditions').list(readCondition),
  };
}

async function readLeader(
  client: KubeClient,
  { namespaces, name }: StatusDependencies['lease'],
  clock: Clock,
): Promise<LeaderView | undefined> {
  const ask = (namespace: string): Promise<unknown> =>
    client.get(LEASES, name, namespace).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
  const get = async (): Promise<unknown> =>
    (await Promise.all(namespaces.map(ask))).find((lease) => lease !== undefined);
  const first = await get();
  const view = leaderOf(first, clock.now());
  if (view === undefined || view.fresh || view.holder === '') return view;
  // The other machine's clock may be off: a lease that changes before our eyes is fresh.
  await clock.sleep(SECOND_LOOK_MS);
  const second = await get();
  const after = leaderOf(second, clock.now());
  const changed = identityOf(first).resourceVersion !== identityOf(second).resourceVersion;
  return after === undefined ? undefined : { ...after, fresh: after.holder !== '' && (changed || after.fresh) };
}

/** What a Lease says at `now`, in milliseconds since the epoch. */
export function leaderOf(lease: unknown, now: number): LeaderView | undefined {
  if (lease === undefined) return undefined;
  const spec = asRecord(asRecord(lease)?.['spec']);
  const renewedAt = Date.parse(asText(spec?.['renewTime']));
  const seconds = spec?.['leaseDurationSeconds'];
  const holder = asText(spec?.['holderIdentity']);
  if (Number.isNaN(renewedAt)) return { holder, fresh: false, renewedSeconds: undefined };
  const age = (now - renewedAt) / 1000;
  const fresh = holder !== '' && typeof seconds === 'number' && Math.abs(age) <= seconds;
  return { holder, fresh, renewedSeconds: Math.max(0, Math.round(age)) };
}

/**
 * `romana status`: the cluster at a glance, from its API alone; JSON and YAML are a `ClusterStatus`. Resolves to the
 * exit status: 0 when all is well (warnings too), 1 when something is wrong or the cluster does not answer.
 */
export async function statusCommand({ output }: ListArguments, deps: StatusDependencies): Promise<0 | 1> {
  try {
    const status = clusterStatus(await observe(await deps.connect(), deps));
    deps.stdout.write(formatClusterStatus(status, output));
    return status.well ? 0 : 1;
  } catch (error) {
    deps.stderr.write(`romana: ${(error as Error).message}\n`);
    return 1;
  }
}
