import { contains } from '../addr/cidr.ts';
import { formatPlan, type Plan } from '../addr/plan.ts';
import { policyName, type Policy } from '../policy/model.ts';
import type { Condition } from '../objects/host-report.ts';
import type { Host } from '../objects/host.ts';
import type { HostReport } from '../objects/host-report.ts';
import { qualifiedName } from '../objects/meta.ts';
import type { Namespace } from '../objects/namespace.ts';
import type { Pod } from '../objects/pod.ts';
import type { Tenant } from '../objects/tenant.ts';
import { type ObjectsRead } from './cluster-view.ts';
import { isEndpoint } from './endpoints.ts';
import type { NodeReadiness } from './hosts.ts';
import { segmentPoolFamilies } from './segments.ts';
import { familiesText, poolFamiliesOf } from './tenants.ts';

/** Something to know of the cluster. */
export interface Finding {
  /** `error`: something does not work; `warning`: all works, at a cost. */
  readonly severity: 'error' | 'warning';
  /** `Node/minion2`, `NetworkPolicy/tenant-a/pol1`. */
  readonly about: string;
  /** What is the case. */
  readonly what: string;
  /** What to do about it. */
  readonly action: string;
}

/** The Lease of the controllers. */
export interface LeaderView {
  /** Who leads; '' when nobody does. */
  readonly holder: string;
  /** Whether it was renewed within its term. */
  readonly fresh: boolean;
  /** Since its last renewal by this machine's clock, in seconds; undefined when it was never renewed. */
  readonly renewedSeconds: number | undefined;
}

/** The Network as far as it can be read. */
export interface NetworkView {
  /** Undefined when the spec can't be read. */
  readonly plans: readonly Plan[] | undefined;
  /** Why not; '' when it can. */
  readonly fault: string;
  /** By the controller; undefined while it has not said. */
  readonly hostIdsLeft: number | undefined;
  readonly conditions: readonly Condition[];
}

/** What the API shows of a cluster. */
export interface Observation {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Undefined when there is none. */
  readonly network: NetworkView | undefined;
  /** Undefined when there is none. */
  readonly leader: LeaderView | undefined;
  readonly nodes: readonly NodeReadiness[];
  readonly hosts: ObjectsRead<Host>;
  readonly reports: ObjectsRead<HostReport>;
  readonly tenants: ObjectsRead<Tenant>;
  readonly namespaces: ObjectsRead<Namespace>;
  readonly policies: ObjectsRead<Policy>;
  readonly pods: ObjectsRead<Pod>;
}

/** A pod that is older has been reported by its agent, which writes within seconds; in milliseconds. */
export const REPORT_LATE_MS = 30_000;

/** An agent that lives reports every minute; in milliseconds. */
const SILENT_MS = 180_000;

const CONTROLLER_LOG = 'read the log of `romana controller`';

function error(about: string, what: string, action: string): Finding {
  return { severity: 'error', about, what, action };
}

function warning(about: string, what: string, action: string): Finding {
  return { severity: 'warning', about, what, action };
}

/** What is wrong in a cluster, what everything else stands on first. */
export function findings(seen: Observation): readonly Finding[] {
  return [
    ...networkFindings(seen.network),
    ...leaderFindings(seen.leader),
    ...hostFindings(seen),
    ...tenantFindings(seen),
    ...podFindings(seen),
    ...unreadableFindings(seen),
  ];
}

function networkFindings(network: NetworkView | undefined): readonly Finding[] {
  const about = 'Network/default';
  const edit = 'correct it: kubectl edit networks.romana.io default';
  if (network === undefined) return [error(about, 'there is none, so no host and no pod gets an address', 'create it')];
  const { fault, conditions, hostIdsLeft } = network;
  const found = conditionFindings(about, conditions, edit);
  if (fault !== '') found.unshift(error(about, `can't be read: ${fault}`, edit));
  else if (!conditions.some(({ type }) => type === 'PlanAccepted')) {
    found.push(error(about, 'no controller has judged its plans yet', CONTROLLER_LOG));
  }
  if (hostIdsLeft === 0) {
    found.push(
      warning(
        about,
        'no host id is left, so the next Node gets no addresses',
        'give back reserved CIDRs, or plan with more host bits',
      ),
    );
  }
  return found;
}

/** All our conditions say True when all is well, and Unknown when it may be. */
function conditionFindings(about: string, conditions: readonly Condition[], action: string): Finding[] {
  return conditions
    .filter(({ status }) => status !== 'True')
    .map(({ type, status, reason, message }) => {
      const finding = status === 'False' ? error : warning;
      return finding(about, `${type} is ${status} (${reason}): ${message}`, action);
    });
}

function leaderFindings(leader: LeaderView | undefined): readonly Finding[] {
  const about = 'Lease/romana-controller';
  const action = 'start `romana controller`, or read its log';
  const effect = 'new nodes, tenants and segments get no ids';
  if (leader === undefined) return [error(about, `no controller has ever led: ${effect}`, action)];
  if (leader.holder === '') return [error(about, `no controller leads: ${effect}`, action)];
  if (leader.fresh) return [];
  const since = leader.renewedSeconds === undefined ? '' : ` for ${leader.renewedSeconds} s`;
  return [error(about, `${leader.holder} has not renewed it${since}: ${effect}`, action)];
}

function hostFindings({ now, nodes, hosts, reports, pods }: Observation): readonly Finding[] {
  const hostNames = new Set([
    ...hosts.objects.map(({ meta }) => meta.name),
    ...hosts.unreadable.map(({ name }) => name),
  ]);
  const unready = nodes
    .filter(({ ready }) => !ready)
    .map(({ name, why }) =>
      error(`Node/${name}`, `is not Ready: ${why}`, 'see kubectl describe node, and the log of its kubelet'),
    );
  const without = nodes
    .filter(({ name }) => !hostNames.has(name))
    .map(({ name }) =>
      error(`Node/${name}`, 'has no Host, so its pods get no addresses', `see its events, and ${CONTROLLER_LOG}`),
    );
  const ready = new Set(nodes.filter((node) => node.ready).map(({ name }) => name));
  const unreachable = hosts.objects
    .filter(({ meta, addresses }) => addresses.length === 0 && ready.has(meta.name))
    .map(({ meta: { name } }) =>
      error(
        `Host/${name}`,
        'has no address, so nobody reaches its pods',
        'see the addresses in the status of its Node',
      ),
    );
  const agentLog = 'read the log of `romana agent` there';
  const known = new Map(reports.objects.map((report) => [report.meta.name, report]));
  const bad = new Set(reports.unreadable.map(({ name }) => name));
  const late = hosts.objects.flatMap((host) => {
    const { name } = host.meta;
    const about = `HostReport/${name}`;
    if (bad.has(name)) return [];
    const report = known.get(name);
    if (report === undefined)
      return [error(about, 'is missing: the agent of this host has not reported yet', agentLog)];
    const reported = report.use.endpoints + report.use.pool;
    const shown = settledAddresses(host, pods.objects, now);
    const silentMs = report.reportedAt === undefined ? 0 : now - Date.parse(report.reportedAt);
    const silent = `is ${Math.round(silentMs / 1_000)} s old: its agent does not run, or does not reach the API server`;
    const stale = `is stale: it counts ${reported} addresses in use, the host's pods have ${shown} and more`;
    return [
      ...(silentMs > SILENT_MS ? [error(about, silent, agentLog)] : []),
      ...(reported < shown ? [error(about, stale, agentLog)] : []),
      ...conditionFindings(about, report.conditions, 'its agent looks again every 10 s'),
    ];
  });
  return [...unready, ...without, ...unreachable, ...late, ...leftReports(hostNames, nodes, reports.objects)];
}

/** What machines that are gone have told last: as long as it is there, no id is reused that they may act for. */
function leftReports(
  hosts: ReadonlySet<string>,
  nodes: readonly NodeReadiness[],
  reports: readonly HostReport[],
): readonly Finding[] {
  const known = new Set([...hosts, ...nodes.map(({ name }) => name)]);
  return reports
    .filter(({ meta }) => !known.has(meta.name))
    .map(({ meta: { name } }) =>
      warning(
        `HostReport/${name}`,
        'is of a node that is gone; no id that its agent may still act for is reused until an hour after its last word',
        `needs no action; if the machine is off for good: kubectl delete hostreport ${name}`,
      ),
    );
}

/** How many addresses of the host's range are shown of pods that its agent must have reported by now. */
function settledAddresses(host: Host, pods: readonly Pod[], now: number): number {
  return pods
    .filter((pod) => pod.nodeName === host.meta.name && isEndpoint(pod) && pod.meta.deletionTimestamp === undefined)
    .filter(({ meta }) => now - Date.parse(meta.creationTimestamp ?? '') > REPORT_LATE_MS)
    .flatMap(({ addresses }) => addresses)
    .filter((address) => host.ranges.some((range) => contains(range, address))).length;
}

function tenantFindings({ network, tenants, namespaces }: Observation): readonly Finding[] {
  const plans = network?.plans ?? [];
  const cost = 'its pods are in the shared pool, matched one by one';
  const pooled = tenants.objects.flatMap((tenant) => {
    const about = `Tenant/${tenant.meta.name}`;
    const whole = poolFamiliesOf(plans, tenant);
    const free = 'needs no action; a plan with more tenant bits has more ids';
    const first =
      whole.length === 0 ? [] : [warning(about, `no tenant id is left in ${familiesText(whole)}: ${cost}`, free)];
    const names = tenant.segments.filter(
      (segment) => segmentPoolFamilies(plans, tenant, segment).length > whole.length,
    );
    if (names.length === 0) return first;
    const which = names.map(({ name }) => JSON.stringify(name)).join(', ');
    const bits = 'needs no action; fewer values of the segment label, or more segment bits, would do';
    return [...first, warning(about, `no segment id is left for ${which}: ${cost}`, bits)];
  });
  const unclear = namespaces.objects.flatMap(({ meta, problems }) =>
    problems.map(({ field, message }) =>
      error(`Namespace/${meta.name}`, `${field}: ${message}`, 'correct the annotation'),
    ),
  );
  return [...pooled, ...unclear];
}

/** Pods whose addresses nobody means anybody by: made by another plugin, or before their Host had its range. */
function podFindings({ hosts, pods, network }: Observation): readonly Finding[] {
  const byName = new Map(hosts.objects.map((host) => [host.meta.name, host]));
  return pods.objects.filter(isEndpoint).flatMap((pod) => {
    const host = byName.get(pod.nodeName);
    if (host === undefined) return [];
    const strange = pod.addresses.filter((address) => !host.ranges.some((range) => contains(range, address)));
    if (strange.length === 0) return [];
    const plans = network?.plans?.map(formatPlan).join(', ') ?? 'unknown';
    const what = `has ${strange.join(' and ')}, outside of its host's ranges (plans ${plans}): policies don't know it`;
    return [
      error(`Pod/${qualifiedName(pod.meta)}`, what, 'delete it, so that it is made anew; look for another CNI plugin'),
    ];
  });
}

function unreadableFindings(seen: Observation): readonly Finding[] {
  const { policies } = seen;
  const others = [seen.hosts, seen.reports, seen.tenants, seen.namespaces, seen.pods].flatMap((r) => r.unreadable);
  return [
    ...policies.unreadable.map(({ kind, name, why }) =>
      error(`${kind}/${name}`, `can't be read, so it opens nothing: ${why}`, 'correct it: romana apply -f'),
    ),
    ...policies.objects.flatMap((policy) =>
      policy.problems.map(({ field, message }) =>
        warning(policyName(policy), `${field}: ${message}: it fails closed`, 'see romana policy lint'),
      ),
    ),
    ...others.map(({ kind, name, why }) => error(`${kind}/${name}`, `can't be read: ${why}`, 'correct or delete it')),
  ];
}
