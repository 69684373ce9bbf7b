import { formatPlan, hostRange, maxHost } from '../addr/plan.ts';
import type { KubeClient } from '../kube/client.ts';
import { commonVersion, Reflector, type ReflectorMetrics } from '../kube/reflector.ts';
import type { FileCopy } from '../kube/kept-copy.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Parsed } from '../objects/meta.ts';
import { type Host, parseHost } from '../objects/host.ts';
import { type Namespace, parseNamespace } from '../objects/namespace.ts';
import { type Network, parseNetworkInForce } from '../objects/network.ts';
import { type Pod, parsePod } from '../objects/pod.ts';
import { HOSTS, NAMESPACES, NETWORKS, PODS, type Resource, TENANTS } from '../objects/resources.ts';
import { parseTenant, type Tenant } from '../objects/tenant.ts';
import type { PeerWatch } from '../plan/peers.ts';
import type { Lease, Snapshot } from '../plan/snapshot.ts';
import type { Policy } from '../policy/model.ts';
import { POLICY_KINDS } from '../policy/policy-kinds.ts';
import type { Announcement } from './acknowledgements.ts';
import type { Known } from './known.ts';
import { OwnClaim } from './own-claim.ts';
import { PeerWatches } from './peer-watches.ts';

/** The Network object that a cluster has one of. */
const NETWORK = 'default';
/** What an observer needs. */
export interface ObserverOptions {
  readonly client: KubeClient;
  /** The node's name. */
  readonly node: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics?: ReflectorMetrics;
  /** What was known before this start, and is kept for the next. */
  readonly known: Known;
  /** Called after anything that is observed has changed. */
  readonly onChange: () => void;
  /** Called when nothing has changed, but what is known is known for a later version. */
  readonly onVersion: () => void;
  /** Called when one kind of objects was listed afresh: the API server may have gone back in time. */
  readonly onList: () => void;
}

/** What an agent sees of the cluster: exactly the watches of DESIGN 3, and snapshots of what they hold. */
export class Observer {
  readonly pods: Reflector<Pod>;
  readonly hosts: Reflector<Host>;
  readonly tenants: Reflector<Tenant>;
  readonly namespaces: Reflector<Namespace>;
  readonly #networks: Reflector<Network>;
  readonly #policies: readonly Reflector<Policy>[];
  readonly #options: ObserverOptions;
  readonly #waiters = new Set<() => void>();
  readonly #peers: PeerWatches;
  /** Local pods as last seen, by uid: a pod deleted by force keeps its labels until its sandbox is gone. */
  readonly #seen = new Map<string, Pod>();
  readonly #claim: OwnClaim;
  #network: Network | undefined;
  #signal: AbortSignal | undefined;

  constructor(options: ObserverOptions) {
    this.#options = options;
    this.#claim = new OwnClaim({ ...options, kept: options.known.word('claim'), onConfirmed: () => this.#wake() });
    const { known, node, clock } = options;
    this.#peers = new PeerWatches({
      make: ({ namespace, selector: labelSelector }) => {
        const copy = known.copyOfPeers({ namespace, labelSelector });
        return { copy, pods: this.#reflector(PODS, parsePod, copy, { namespace, labelSelector }) };
      },
      begin: (pods, stop) =>
        this.#begin(pods, this.#signal === undefined ? stop : AbortSignal.any([stop, this.#signal])),
      clock,
    });
    const all = <T>(resource: Resource, parse: (json: unknown) => Parsed<T>, optional = false): Reflector<T> =>
      this.#reflector(resource, parse, known.copyOf(resource), { optional });
    this.pods = this.#reflector(PODS, parsePod, known.copyOf(PODS), { fieldSelector: `spec.nodeName=${node}` });
    this.hosts = all(HOSTS, parseHost);
    this.tenants = all(TENANTS, parseTenant);
    this.namespaces = all(NAMESPACES, parseNamespace);
    this.#networks = all(NETWORKS, parseNetworkInForce);
    this.#policies = POLICY_KINDS.map(({ resource, parse, optional }) => all(resource, parse, optional));
  }

  /** Begins to watch; ends with the signal. */
  start(signal: AbortSignal): void {
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#peers.stop(), { once: true });
    for (const reflector of this.#all()) this.#begin(reflector, signal);
  }

  /** Whether everything that decides verdicts has been listed once. */
  get synced(): boolean {
    return this.#all().every((reflector) => reflector.synced);
  }

  /** How many objects of the API server can't be read, of each kind that is always watched. */
  unreadable(): ReadonlyMap<Resource, number> {
    return new Map(this.#all().map(({ resource, invalid }) => [resource, invalid.size]));
  }

  /** The version up to which everything that was asked for has been seen; undefined while some of it is on its way. */
  get version(): number | undefined {
    return commonVersion([...this.#all(), ...this.#peers.reflectors]);
  }

  /**
   * The cluster's Network as this host may act on it: the newest whose plans give the ranges that its Host holds. One
   * whose plans were changed under living hosts is refused by the controller, and by each agent here; the last good
   * one stays in force.
   */
  get network(): Network | undefined {
    const newest = this.#networks.store.get(NETWORK);
    if (newest !== this.#network && newest !== undefined && this.host !== undefined && fits(newest, this.host)) {
      this.#network = newest;
    }
    return this.#network;
  }

  /** The releases that the newest Network asks to acknowledge, be its plans those of this host or not. */
  get announcement(): Announcement {
    const newest = this.#networks.store.get(NETWORK);
    return { releases: newest?.releases ?? [], version: commonVersion([{ version: newest?.meta.resourceVersion }]) };
  }

  /** What is still missing, or wrong, before verdicts can be decided; undefined when nothing is. */
  get missing(): string | undefined {
    if (!this.synced) return 'waits for the API server';
    const newest = this.#networks.store.get(NETWORK);
    if (newest === undefined) return `waits for the cluster's Network object '${NETWORK}'`;
    if (this.host === undefined) {
      const made = this.hosts.store.has(this.#options.node);
      return made
        ? `waits for the controller to claim the id of the Host ${this.#options.node} for it`
        : `waits for the controller to make the Host ${this.#options.node}`;
    }
    if (this.network !== undefined) return undefined;
    const plans = newest.plans.map(formatPlan).join(' and ');
    return `the Network's plans ${plans} do not give the ranges of Host ${this.#options.node}, ${this.host.ranges.join(' and ')}; put the plans back`;
  }

  /** This node's Host, once the controller has made it and its id is known to be this node's. */
  get host(): Host | undefined {
    const host = this.hosts.store.get(this.#options.node);
    return host !== undefined && this.#claim.confirms(host) ? host : undefined;
  }

  /** The local pod of that uid, also one that the API has no more, as long as a lease needs it. */
  podByUid(uid: string): Pod | undefined {
    return this.#seen.get(uid);
  }

  /** Takes a pod that was read from the API server itself, ahead of the watch. */
  learn(pod: Pod): void {
    if (!this.#seen.has(pod.meta.uid)) this.#seen.set(pod.meta.uid, pod);
  }

  /** Waits until `look` finds something, looking after every change; rejects with the signal's reason. */
  async until<T>(look: () => T | undefined, signal: AbortSignal): Promise<T> {
    for (;;) {
      signal.throwIfAborted();
      const found = look();
      if (found !== undefined) return found;
      await new Promise<void>((resolve, reject) => {
        const wake = (): void => {
          this.#waiters.delete(wake);
          signal.removeEventListener('abort', abort);
          resolve();
        };
        const abort = (): void => {
          this.#waiters.delete(wake);
          reject(signal.reason as Error);
        };
        this.#waiters.add(wake);
        signal.addEventListener('abort', abort, { once: true });
      });
    }
  }

  /** Everything that decides verdicts, for pure functions; undefined while Network or Host are unknown. */
  snapshot(leases: readonly Lease[], uplinks: readonly string[]): Snapshot | undefined {
    if (this.network === undefined || this.host === undefined) return undefined;
    this.#forget(leases);
    return {
      network: this.network,
      node: this.#options.node,
      hosts: this.hosts.store,
      tenants: this.tenants.store,
      namespaces: this.namespaces.store,
      localPods: this.#seen,
      peerPods: this.#peers.reflectors.flatMap(({ store }) => [...store.values()]),
      policies: this.#policies.flatMap(({ store }) => [...store.values()]),
      leases,
      uplinks,
    };
  }

  /** Opens the watches on peers that the plan asks for; closes after a while those that it asks for no more. */
  watchPeers(wanted: readonly PeerWatch[]): void {
    this.#peers.update(wanted);
  }

  /** Whether all pods that the open watches on peers are about have been listed once. */
  get peersSynced(): boolean {
    return this.#peers.synced;
  }

  /** Lists everything afresh, as at the start. */
  relist(): void {
    for (const reflector of [...this.#all(), ...this.#peers.reflectors]) reflector.relist();
  }

  #all(): readonly Reflector<unknown>[] {
    return [this.pods, this.hosts, this.tenants, this.namespaces, this.#networks, ...this.#policies];
  }

  #begin(reflector: Reflector<unknown>, signal: AbortSignal): void {
    void reflector.start(signal);
    // A first list without objects changes nothing but that it is known now.
    void reflector.whenSynced(signal).then(
      () => this.#changed(),
      () => undefined, // the signal
    );
  }

  #reflector<T>(
    resource: Resource,
    parse: (json: unknown) => Parsed<T>,
    copy: FileCopy,
    selection: { namespace?: string; labelSelector?: string; fieldSelector?: string; optional?: boolean } = {},
  ): Reflector<T> {
    const { client, clock, log, metrics, onVersion, onList } = this.#options;
    return new Reflector<T>({
      client,
      resource,
      parse,
      copy,
      clock,
      log,
      ...(metrics === undefined ? {} : { metrics }),
      ...selection,
      onChange: () => this.#changed(),
      // Pods of peers are listed whenever policy names others.
      onVersion: (by) => (by === 'list' && resource !== PODS ? onList() : onVersion()),
    });
  }

  #changed(): void {
    for (const pod of this.pods.store.values()) this.#seen.set(pod.meta.uid, pod);
    if (this.#signal !== undefined) this.#claim.follow(this.hosts.store.get(this.#options.node), this.#signal);
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiters) wake();
    this.#options.onChange();
  }

  /** Drops pods that neither the API server nor a lease knows any more. */
  #forget(leases: readonly Lease[]): void {
    const present = this.pods.store;
    if (this.#seen.size === present.size) return; // those that are present are all seen
    const held = new Set(leases.map((lease) => lease.uid));
    const uids = new Set(Array.from(present.values(), (pod) => pod.meta.uid));
    for (const uid of this.#seen.keys()) if (!held.has(uid) && !uids.has(uid)) this.#seen.delete(uid);
  }
}

/** Whether the plans of `network` give exactly the ranges of `host`. */
function fits({ plans }: Network, host: Host): boolean {
  if (plans.some((plan) => host.id > maxHost(plan))) return false;
  return sorted(plans.map((plan) => hostRange(plan, host.id))) === sorted(host.ranges);
}

function sorted(ranges: readonly string[]): string {
  return [...ranges].sort().join(' ');
}
