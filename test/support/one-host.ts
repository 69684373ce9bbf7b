import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AddressBook } from '../../src/agent/address-book.ts';
import { hostInterfaceName } from '../../src/agent/attachment-names.ts';
import { HostRoutes } from '../../src/agent/host-routes.ts';
import { KernelDatapath } from '../../src/agent/kernel-datapath.ts';
import { LeaseStore } from '../../src/agent/leases.ts';
import { AgentMetrics } from '../../src/agent/metrics.ts';
import { type AddRequest, type Identity, PodNetwork } from '../../src/agent/pod-network.ts';
import { Reconciler } from '../../src/agent/reconciler.ts';
import { Conntrack } from '../../src/kernel/conntrack.ts';
import { LibNft } from '../../src/kernel/libnftables.ts';
import { LinkMaker } from '../../src/kernel/link-maker.ts';
import { LinkRemover } from '../../src/kernel/link-remover.ts';
import { Rtnl } from '../../src/kernel/rtnl.ts';
import { sysctls } from '../../src/kernel/sysctl.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { ok } from '../../src/lib/result.ts';
import { plan } from '../../src/plan/desired.ts';
import { pol1, snapshotOf, TENANTS } from '../../src/plan/snapshot-fixture.ts';
import type { Snapshot } from '../../src/plan/snapshot.ts';
import { FaultPoints } from './fault-points.ts';
import { difference, HostKernel } from './host-kernel.ts';
import { TestNetns } from './netns.ts';

const NAMESPACE = 'tenant-a';
const SEGMENT = 'backend';
const MTU = 1_400;
/** Where other hosts are, by the fixture. */
const UPLINK = ['192.168.99.11/24', 'fd00:99::11/64'];
/** Quick, since tests wait for what is tried again. */
const RETRY = { initialMs: 1, maxMs: 20 };

/** The agent's part that connects pods, as one process has it. */
export interface HostProcess {
  readonly network: PodNetwork;
  readonly leases: LeaseStore;
  readonly book: AddressBook;
  /** Ends what the process has open; what is left on disk and in the kernel stays. */
  end(): Promise<void>;
}

/**
 * A host of its own network namespace and folder of leases, on which one process after the other connects pods: what
 * the agent does of it, in its order, on the real kernel, without an API server.
 */
export class OneHost {
  readonly ns: TestNetns;
  readonly directory: string;
  readonly #kernel: HostKernel;
  readonly #fixture: Snapshot;

  private constructor(ns: TestNetns, directory: string) {
    this.ns = ns;
    this.directory = directory;
    this.#kernel = new HostKernel(ns.path);
    this.#fixture = snapshotOf({ tenants: TENANTS, policies: [pol1(NAMESPACE)] });
  }

  /** @param directory of the leases, empty. */
  static async create(directory: string): Promise<OneHost> {
    const ns = TestNetns.create('one-host');
    const addresses = UPLINK.map((address) => `ip address add ${address} dev eth0 nodad`);
    const links = ['ip link add eth0 type veth peer name other', 'ip link set other up', 'ip link set eth0 up'];
    await ns.run(['sh', '-ec', [...links, ...addresses].join('\n')]);
    return new OneHost(ns, directory);
  }

  /** Starts a process: it takes over what the last one left. */
  async start(points = new FaultPoints()): Promise<HostProcess> {
    const { maker, remover } = this.ns.inside(() => ({ maker: LinkMaker.open(), remover: LinkRemover.open() }));
    const netns = this.ns.path;
    const rtnl = Rtnl.open({ netns });
    const nft = new LibNft({ netns });
    const conntrack = Conntrack.open({ netns });
    const store = new LeaseStore(this.directory, silentLog);
    const routes = new HostRoutes({ rtnl, log: silentLog, onChange: () => undefined, onRepair: () => undefined });
    const reconciler = new Reconciler({
      snapshot: () => (points.dead ? undefined : this.#snapshot(store)),
      nft,
      routes: (desired) => routes.apply(desired),
      revoke: () => false,
      onRepaired: () => undefined,
      onApplied: () => undefined,
      metrics: new AgentMetrics(),
      clock: systemClock,
      log: silentLog,
    });
    const book = new AddressBook(systemClock, () => false);
    const network = (): { plans: Snapshot['network']['plans']; mtu: number } => ({
      plans: this.#fixture.network.plans,
      mtu: MTU,
    });
    const leases = points.watch(store, { put: 'lease put', remove: 'lease removed' });
    const pods = new PodNetwork({
      datapath: new KernelDatapath({
        sysctls,
        rtnl: points.watch(rtnl, { apply: 'links changed', applyAndGet: 'link up' }),
        maker: points.watch(maker, { make: 'link made' }),
        remover: points.watch(remover, { remove: 'link removed' }),
        conntrack: points.watch(conntrack, { removeByAddress: 'connections forgotten' }),
        network,
        commit: () => points.run('rules committed', () => reconciler.commit()),
      }),
      identities: { forPod: () => Promise.resolve(ok(this.#identity())) },
      leases,
      book,
      network,
      clock: systemClock,
      log: silentLog,
      retry: RETRY,
    });
    book.reserve(store.addresses());
    await reconciler.commit();
    pods.restore();
    const end = async (): Promise<void> => {
      await pods.stop();
      await reconciler.stop();
      await maker.close();
      await remover.close();
      nft.close();
      conntrack.close();
      rtnl.close();
    };
    return { network: pods, leases: store, book, end };
  }

  /** The file that a process leaves that is killed while it writes a lease. */
  leaveUnfinishedFile(): void {
    writeFileSync(join(this.directory, '.roma00000000000.json.1.tmp'), '{"version":1,"sta');
  }

  /** Makes every write of `container`'s lease fail from now on, or lets it be done again. */
  refuseLease(container: string, refused: boolean): void {
    const file = `${hostInterfaceName({ containerId: container, ifname: 'eth0' })}.json`;
    // In the place of the file that is written first.
    const obstacle = join(this.directory, `.${file}.${process.pid}.tmp`);
    if (refused) mkdirSync(obstacle);
    else rmSync(obstacle, { recursive: true, force: true });
  }

  /** ADD of container `name` with `pod` for its namespace. */
  request(name: string, pod: TestNetns): AddRequest {
    return {
      network: 'romana',
      attachment: { containerId: name, ifname: 'eth0' },
      netns: pod.path,
      pod: { namespace: NAMESPACE, name, uid: name },
    };
  }

  /** What disk, memory and kernel do not agree on, when exactly `containers` should be connected. */
  problems({ leases, book }: HostProcess, containers: readonly string[]): string[] {
    const reread = new LeaseStore(this.directory, silentLog);
    const snapshot = this.#snapshot(reread);
    const active = containers.map((containerId) => `active ${hostInterfaceName({ containerId, ifname: 'eth0' })}`);
    const files = readdirSync(this.directory);
    return [
      ...difference('lease in memory', linesOf(leases), linesOf(reread)),
      ...difference(
        'lease',
        linesOf(reread).map((line) => line.split(' ').slice(0, 2).join(' ')),
        active,
      ),
      ...difference(
        'file',
        files.map((name) => name.replace('.json', '')),
        active.map((line) => line.slice('active '.length)),
      ),
      ...difference(
        'address',
        book.taken(),
        snapshot.leases.flatMap(({ addresses }) => addresses),
      ),
      ...this.#kernel.problems(snapshot, plan(snapshot)),
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#kernel.close();
    await this.ns[Symbol.asyncDispose]();
  }

  #snapshot(leases: LeaseStore): Snapshot {
    return { ...this.#fixture, leases: leases.list() };
  }

  #identity(): Identity {
    const labels = new Map([['segment', SEGMENT]]);
    const { id } = TENANTS[NAMESPACE];
    const { plans } = this.#fixture.network;
    const segmentId = TENANTS[NAMESPACE].segments[SEGMENT];
    return { labels, segment: SEGMENT, hostId: 1, tenantId: id, segmentId, pool: false, plans };
  }
}

function linesOf(leases: LeaseStore): string[] {
  return leases.withState('adding', 'active', 'leaving').map(({ hostInterface, addresses }) => {
    return `${leases.get(hostInterface)?.state} ${hostInterface} ${addresses.join(' ')}`;
  });
}
