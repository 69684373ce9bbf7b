import type { KubeClient } from '../kube/client.ts';
import { commonVersion, Reflector, type ReflectorMetrics } from '../kube/reflector.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { ok } from '../lib/result.ts';
import { type HostReport, parseHostReport } from '../objects/host-report.ts';
import { parseHost } from '../objects/host.ts';
import type { Parsed } from '../objects/meta.ts';
import { parseNamespace } from '../objects/namespace.ts';
import { parseNode } from '../objects/node.ts';
import { parsePod } from '../objects/pod.ts';
import {
  CLUSTER_NETWORK_POLICIES,
  HOST_REPORTS,
  HOSTS,
  NAMESPACES,
  NETWORKS,
  NODES,
  PODS,
  TENANTS,
} from '../objects/resources.ts';
import type { Resource } from '../objects/resources.ts';
import { parseTenant } from '../objects/tenant.ts';
import type { Policy } from '../policy/model.ts';
import { POLICY_KINDS } from '../policy/policy-kinds.ts';
import { ID_CLAIMS, parseIdClaim } from '../objects/id-claim.ts';
import {
  type ObservedPolicy,
  parseObservedPolicy,
  type WantedCondition,
  wantedConditions,
} from './policy-conditions.ts';
import { parseObservedNetwork } from './network-status.ts';
import type { ClusterState } from './state.ts';

/** The one Network of a cluster. */
const NETWORK = 'default';

/** What an observer needs. */
export interface ObserverOptions {
  readonly client: Pick<KubeClient, 'list' | 'version' | 'watch'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: ReflectorMetrics;
  /** Called after anything that ids depend on has changed. */
  readonly onChange: () => void;
}

/** What a controller sees of the cluster. */
export class Observer {
  readonly #networks;
  readonly #nodes;
  readonly #namespaces;
  readonly #pods;
  readonly #policies: readonly Reflector<Policy>[];
  readonly #clusterPolicies: Reflector<ObservedPolicy>;
  readonly #hosts;
  readonly #tenants;
  readonly #reports;
  readonly #claims;
  readonly #all: Reflector<unknown>[] = [];

  constructor(options: ObserverOptions) {
    const { onChange, ...rest } = options;
    const reflect = <T>(resource: Resource, parse: (json: unknown) => Parsed<T>, optional = false): Reflector<T> => {
      const reflector = new Reflector<T>({ ...rest, resource, parse, optional, onChange: () => onChange() });
      this.#all.push(reflector);
      return reflector;
    };
    this.#networks = reflect(NETWORKS, parseObservedNetwork);
    this.#nodes = reflect(NODES, parseNode);
    this.#namespaces = reflect(NAMESPACES, parseNamespace);
    this.#pods = reflect(PODS, parsePod);
    this.#clusterPolicies = reflect(CLUSTER_NETWORK_POLICIES, parseObservedPolicy, true);
    const others = POLICY_KINDS.filter(({ resource }) => resource !== CLUSTER_NETWORK_POLICIES);
    this.#policies = [
      ...others.map(({ resource, parse, optional }) => reflect(resource, parse, optional)),
      this.#clusterPolicies,
    ];
    this.#hosts = reflect(HOSTS, parseHost);
    this.#tenants = reflect(TENANTS, parseTenant);
    this.#reports = reflect(HOST_REPORTS, parseWithoutTime);
    this.#claims = reflect(ID_CLAIMS, parseIdClaim);
  }

  /** Watches until `signal` is aborted; resolves then. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#all.map((reflector) => reflector.start(signal)));
  }

  /** Whether everything has been listed once: above all what agents report, before any id is given. */
  get synced(): boolean {
    return this.#all.every((reflector) => reflector.synced);
  }

  /** The version up to which everything has been seen; undefined while some of it is on its way. */
  get version(): number | undefined {
    return commonVersion(this.#all);
  }

  /** Resolves when everything has been listed once; rejects with the signal's reason when aborted before. */
  async whenSynced(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#all.map((reflector) => reflector.whenSynced(signal)));
  }

  /** What is known now. The maps go on changing: use it before the next turn of the event loop. */
  get state(): ClusterState {
    return {
      network: this.#networks.store.get(NETWORK),
      nodes: this.#nodes.store,
      namespaces: this.#namespaces.store,
      pods: this.#pods.store,
      policies: this.#policies.flatMap(({ store }) => Array.from(store.values())),
      hosts: this.#hosts.store,
      tenants: this.#tenants.store,
      reports: this.#reports.store,
      claims: this.#claims.store,
      unreadable: new Set(this.#decisive().flatMap((reflector) => Array.from(reflector.invalid.keys()))),
      agentsReadable: this.#hosts.invalid.size === 0 && this.#reports.invalid.size === 0,
    };
  }

  /** The conditions that policies have to get: what hosts that are there tell, and what nobody can enforce. */
  get policyConditions(): readonly WantedCondition[] {
    const reports = [...this.#reports.store].filter(([name]) => this.#hosts.store.has(name));
    return wantedConditions(this.#clusterPolicies.store.values(), new Map(reports));
  }

  /** The kinds whose absence would take something away. */
  #decisive(): readonly Reflector<unknown>[] {
    return [this.#nodes, this.#namespaces, this.#pods, this.#hosts, this.#tenants, this.#claims];
  }
}

/** Agents write their reports once a minute to show that they live; that alone is no reason to look at the cluster. */
function parseWithoutTime(json: unknown): Parsed<HostReport> {
  const parsed = parseHostReport(json);
  if (!parsed.ok) return parsed;
  const { reportedAt: _time, ...report } = parsed.value;
  return ok(report);
}
