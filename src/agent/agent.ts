import type { Address } from '../addr/address.ts';
import type { Chain } from '../cni/chain.ts';
import { cniError, type CniError } from '../cni/errors.ts';
import { Conntrack } from '../kernel/conntrack.ts';
import type { CountedElement } from '../kernel/nft-counters.ts';
import { LibNft } from '../kernel/libnftables.ts';
import { LinkMaker } from '../kernel/link-maker.ts';
import { LinkRemover } from '../kernel/link-remover.ts';
import { NftTable } from '../kernel/nft-table.ts';
import { Rtnl } from '../kernel/rtnl.ts';
import type { Sysctls } from '../kernel/sysctl.ts';
import type { KubeClient } from '../kube/client.ts';
import { EventRecorder } from '../kube/events.ts';
import { type Traffic, trafficMetrics } from '../kube/traffic.ts';
import type { Clock } from '../lib/clock.ts';
import { buildInfo } from '../lib/build-info.ts';
import { type HealthOptions, startHealthServer } from '../lib/health-server.ts';
import type { Log } from '../lib/log.ts';
import { podFinished } from '../objects/pod.ts';
import { TABLE } from '../plan/ruleset-builder.ts';
import type { Snapshot } from '../plan/snapshot.ts';
import { AddressBook } from './address-book.ts';
import { Announcer } from './announcer.ts';
import { conflistOf } from './cni-chain.ts';
import { CniHandler } from './cni-handler.ts';
import { type CniInstallation, installCni } from './cni-install.ts';
import { CniServer } from './cni-server.ts';
import { COLLECT_MS, Collector } from './collection.ts';
import { cutForbidden } from './cut-forbidden.ts';
import { Denials } from './denials.ts';
import { DeniedListener } from './denied-listener.ts';
import { EvidenceFinder } from './evidence.ts';
import { HostChecker } from './host-checker.ts';
import { HostNetwork } from './host-network.ts';
import { KernelDatapath } from './kernel-datapath.ts';
import { knowPeers } from './know-peers.ts';
import { Known } from './known.ts';
import { LeaseStore } from './leases.ts';
import { maySeePods } from './metric-readers.ts';
import { AgentMetrics } from './metrics.ts';
import { Observer } from './observer.ts';
import { PeerNames } from './peer-names.ts';
import { PodIdentities } from './pod-identities.ts';
import { PodNetwork } from './pod-network.ts';
import { PolicyTraces } from './policy-traces.ts';
import { Reconciler } from './reconciler.ts';
import { tableRepaired } from './repair-event.ts';
import { Reporter } from './reporter.ts';
import { SelfRepair } from './self-repair.ts';
import { sweepLinks } from './sweep-links.ts';
import { measureTallies } from './tallies.ts';
import { traceConnection } from './trace.ts';
import { UnenforcedPolicies } from './unenforced-policies.ts';

/** What an agent needs. It works in the network namespace that it runs in. */
export interface AgentOptions {
  readonly client: KubeClient;
  /** What the client counts, to be shown among the metrics. */
  readonly traffic?: Traffic;
  /** The name of this host's Node. */
  readonly node: string;
  /** Of the CNI server's unix socket. */
  readonly socket: string;
  /** Folder of the leases, on a file system that a reboot clears. */
  readonly leases: string;
  /** Folder of what is known of the cluster, likewise. */
  readonly known: string;
  readonly installation: CniInstallation;
  /** Those of pods' interfaces. */
  readonly sysctls: Sysctls;
  /** Those of the host itself, of which it may be remembered what they were; as the others without. */
  readonly hostSysctls?: Sysctls;
  /** CNI plugins and their order; undefined: the standard ones that are on this node, after ours. */
  readonly chain?: Chain;
  /** How often it looks for attachments whose sandbox is gone, in milliseconds; 60 s without. */
  readonly collectMs?: number;
  /** The NFLOG group by which the kernel tells of denied packets; undefined: it tells nobody. */
  readonly nflogGroup?: number | undefined;
  /** Where metrics and health are served. */
  readonly health: Pick<HealthOptions, 'port' | 'host'>;
  /** The version that the metrics tell. */
  readonly version: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Ends the agent; the kernel keeps what it has. */
  readonly signal: AbortSignal;
  /** Called when pods can be connected and policy is in force. */
  readonly onReady?: () => void;
}

/** Runs the agent of one host until the signal; resolves when all has ended cleanly. */
export async function runAgent(options: AgentOptions): Promise<void> {
  const agent = new Agent(options);
  try {
    await agent.run();
  } finally {
    await agent.stop();
  }
}

class Agent {
  readonly #o: AgentOptions;
  readonly #metrics = new AgentMetrics();
  readonly #rtnl = Rtnl.open();
  readonly #conntrack = Conntrack.open();
  readonly #nft = new LibNft();
  readonly #maker = LinkMaker.open();
  readonly #remover = LinkRemover.open();
  readonly #known: Known;
  readonly #observer: Observer;
  readonly #leases: LeaseStore;
  readonly #book: AddressBook;
  readonly #reconciler: Reconciler;
  readonly #announcer: Announcer;
  readonly #network: PodNetwork;
  readonly #server: CniServer;
  readonly #reporter: Reporter;
  readonly #checker: HostChecker;
  readonly #hostNetwork: HostNetwork;
  readonly #selfRepair: SelfRepair;
  readonly #denied: DeniedListener;
  /** What the rules in force are of. */
  #inForce: Snapshot | undefined;
  /** Whether the pods that policy names as peers have been asked for; until then the kernel stays as it is. */
  #peersKnown = false;
  #serving = false;

  constructor(options: AgentOptions) {
    this.#o = options;
    const { client, node, sysctls, hostSysctls = sysctls, clock, log } = options;
    this.#known = new Known(options.known, log);
    this.#observer = new Observer({
      client,
      node,
      clock,
      log,
      known: this.#known,
      metrics: this.#metrics.reflector,
      onChange: () => this.#reconciler.markDirty(),
      onVersion: () => this.#announcer.reached(),
      onList: () => this.#announcer.listed(),
    });
    buildInfo(this.#metrics.registry, options.version);
    if (options.traffic !== undefined) trafficMetrics(this.#metrics.registry, 'romana_agent', options.traffic);
    this.#leases = new LeaseStore(options.leases, log);
    this.#book = new AddressBook(clock, (address, uid) => this.#isShown(address, uid));
    this.#hostNetwork = new HostNetwork({ rtnl: this.#rtnl, sysctls: hostSysctls, metrics: this.#metrics, log });
    const events = new EventRecorder({ ...options, component: 'romana-agent', host: node });
    this.#reconciler = new Reconciler({
      snapshot: () => (this.#peersKnown ? this.#snapshot() : undefined),
      nft: this.#nft,
      routes: (desired) => this.#hostNetwork.apply(desired),
      revoke: (at) =>
        cutForbidden(at, {
          conntrack: this.#conntrack,
          rtnl: this.#rtnl,
          observer: this.#observer,
          metrics: this.#metrics,
          log,
        }),
      onRepaired: (by) => events.record(tableRepaired(node, this.#observer.host?.meta.uid, by)),
      onApplied: (snapshot, desired) => {
        this.#inForce = snapshot;
        this.#announcer.applied(snapshot, desired);
      },
      metrics: this.#metrics,
      clock,
      log,
    });
    const network = (): { plans: Snapshot['network']['plans']; mtu: number } => this.#networkNow();
    this.#network = new PodNetwork({
      datapath: new KernelDatapath({
        rtnl: this.#rtnl,
        sysctls,
        maker: this.#maker,
        remover: this.#remover,
        conntrack: this.#conntrack,
        network,
        commit: () => this.#reconciler.commit(),
      }),
      identities: new PodIdentities({ observer: this.#observer, client }),
      leases: this.#leases,
      book: this.#book,
      network,
      clock,
      log,
      onGone: () => this.#announcer.report(),
    });
    this.#reporter = new Reporter({ client, node, clock, log });
    this.#checker = new HostChecker({
      rtnl: this.#rtnl,
      cluster: () => ({ node, hosts: this.#observer.hosts.store.values(), plans: network().plans }),
      configurationDirectory: options.installation.configurationDirectory,
      onChange: () => this.#announcer.report(),
      clock,
      log,
    });
    this.#announcer = new Announcer({
      observer: this.#observer,
      caughtUp: () => this.#reconciler.enforcing && this.#reconciler.idle,
      leases: this.#leases,
      checker: this.#checker,
      unenforced: new UnenforcedPolicies({ events, metrics: this.#metrics, clock, log }),
      reporter: this.#reporter,
      metrics: this.#metrics,
      log,
    });
    this.#denied = this.#deniedListener(events);
    this.#server = this.#cniServer();
    // After every socket of ours is open, so that it knows them.
    this.#selfRepair = new SelfRepair({
      table: TABLE,
      isPod: (address) => this.#leases.list().some(({ addresses }) => addresses.includes(address)),
      onTable: (by) => this.#reconciler.tableChanged(by),
      onNetwork: () => {
        this.#hostNetwork.recheck();
        this.#reconciler.markDirty();
      },
      clock,
      log,
    });
  }

  async run(): Promise<void> {
    const { signal, log, onReady } = this.#o;
    const health = await startHealthServer({
      ...this.#o.health,
      metrics: (remote) => this.#metricsFor(remote),
      notReady: () => (this.#serving ? undefined : (this.#observer.missing ?? 'is starting')),
    });
    try {
      this.#observer.start(signal);
      await this.#observer.until(() => (this.#observer.missing === undefined ? true : undefined), signal);
      this.#book.reserve(this.#leases.addresses());
      await knowPeers({ snapshot: this.#snapshot(), observer: this.#observer, known: this.#known, signal });
      this.#peersKnown = true;
      await this.#enforceFirst(signal);
      this.#network.restore();
      await sweepLinks({
        links: this.#rtnl.links(),
        leases: this.#leases,
        remove: (name) => this.#remover.remove(name),
        onSwept: () => this.#metrics.repairs.inc({ what: 'links' }),
        log,
      });
      const { installation, chain } = this.#o;
      const conflist = await conflistOf(installation.pluginDirectory, chain, log);
      // From here to where it serves nothing is waited for: nobody is told that it is not ready yet.
      await this.#server.listen();
      this.#serving = true;
      const written = installCni(installation, conflist);
      void this.#checker.run(signal);
      const tracing = this.#traces().run(signal);
      log.info({ host: this.#observer.host?.id, leases: this.#leases.list().length, written }, 'connects pods');
      onReady?.();
      await this.#collector().run(signal);
      await tracing;
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      await health.close();
    }
  }

  /** Ends in the order in which things stand on each other. */
  async stop(): Promise<void> {
    this.#denied.close();
    this.#selfRepair.close();
    await this.#server.close();
    await this.#network.stop();
    await this.#reconciler.stop();
    await this.#reporter.stop();
    await this.#maker.close();
    await this.#remover.close();
    this.#nft.close();
    this.#conntrack.close();
    this.#rtnl.close();
    this.#o.log.info({}, 'has ended; the kernel keeps its routes and rules');
  }

  #traces(): PolicyTraces {
    return new PolicyTraces({
      ...this.#o,
      trace: (question) => {
        using table = NftTable.open(TABLE);
        const texts = (chain: string): ReadonlyMap<number, string> => this.#nft.ruleTexts(TABLE, chain);
        return traceConnection(question, { rtnl: this.#rtnl, table, texts });
      },
      metrics: this.#metrics.reflector,
    });
  }

  async #metricsFor(remote: string): Promise<string> {
    const snapshot = this.#inForce;
    this.#announcer.measure();
    const metrics = this.#metrics.registry.metrics();
    if (snapshot === undefined || !maySeePods(remote, snapshot, this.#reconciler.identities(snapshot))) return metrics;
    const counters = (table: string, set: string): readonly CountedElement[] => this.#nft.counters(table, set);
    measureTallies({ counters, leases: snapshot.leases, metrics: this.#metrics });
    return `${await metrics}\n${await this.#metrics.podRegistry.metrics()}`;
  }

  #collector(): Collector {
    const { client, clock, log, collectMs } = this.#o;
    return new Collector({
      leases: this.#leases,
      evidence: new EvidenceFinder({ rtnl: this.#rtnl, client, pods: () => this.#observer.pods.store }),
      network: this.#network,
      everyMs: collectMs ?? COLLECT_MS,
      onFreed: () => this.#metrics.collected.inc(),
      clock,
      log,
    });
  }

  #deniedListener(events: EventRecorder): DeniedListener {
    const { client, clock, log, signal, nflogGroup: group } = this.#o;
    const metrics = this.#metrics;
    const denials = new Denials({
      snapshot: () => this.#inForce,
      identities: (snapshot) => this.#reconciler.identities(snapshot),
      ownAddresses: () => this.#rtnl.addresses().map(({ address }) => address),
      names: new PeerNames({ client, clock, signal }),
      events,
      metrics,
      clock,
      log,
    });
    return new DeniedListener({
      group,
      nft: this.#nft,
      onPacket: (packet) => denials.hear(packet),
      onChange: () => this.#reconciler.markDirty(),
      metrics,
      clock,
      log,
    });
  }

  #cniServer(): CniServer {
    const { clock, log, socket: path } = this.#o;
    const handler = new CniHandler({
      network: this.#network,
      status: () => this.#status(),
      clock,
      log,
      onCall: ({ command, code, seconds }) => {
        this.#metrics.cniRequests.inc({ command, code: String(code) });
        this.#metrics.cniSeconds.observe({ command }, seconds);
      },
    });
    return new CniServer({ path, handle: (bytes, signal) => handler.handle(bytes, signal), clock, log });
  }

  /** The first transaction: until it is in, the kernel keeps what the last agent left, and no pod is connected. */
  async #enforceFirst(signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        return await this.#reconciler.commit();
      } catch (error) {
        this.#o.log.error({ err: error }, 'could not put policy in force; tries again');
        await this.#o.clock.sleep(500, signal);
      }
    }
  }

  /** Why no ADD at all could succeed; one full segment is no reason, since its pods go to the shared pool. */
  #status(): CniError | undefined {
    const { network, host } = this.#observer;
    if (!this.#serving || network === undefined || host === undefined) {
      return cniError('notAvailable', `the agent ${this.#observer.missing ?? 'is starting'}`);
    }
    if (this.#book.full(network.plans, host.id)) {
      return cniError('notAvailable', 'no address is left on this host: its shared pool and all segments are full');
    }
    return undefined;
  }

  #snapshot(): Snapshot | undefined {
    if (!this.#observer.synced || this.#observer.host === undefined) return undefined;
    const underlay = this.#hostNetwork.follow(this.#observer.host.addresses);
    const snapshot = this.#observer.snapshot(this.#leases.list(), underlay.names);
    return snapshot && { ...snapshot, nflogGroup: this.#denied.group };
  }

  #networkNow(): { plans: Snapshot['network']['plans']; mtu: number } {
    const { network } = this.#observer;
    if (network === undefined) throw new Error("the cluster's Network object `default` is gone");
    return { plans: network.plans, mtu: network.mtu === 0 ? this.#hostNetwork.underlay.mtu : network.mtu };
  }

  /** Whether the API shows `address` for another pod of this node, which may still be meant by it. */
  #isShown(address: Address, uid: string): boolean {
    for (const pod of this.#observer.pods.store.values()) {
      if (pod.meta.uid !== uid && !pod.hostNetwork && !podFinished(pod) && pod.addresses.includes(address)) return true;
    }
    return false;
  }
}
