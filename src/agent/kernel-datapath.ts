import { decode, gateway, type Plan } from '../addr/plan.ts';
import type { Conntrack } from '../kernel/conntrack.ts';
import type { LinkRemover } from '../kernel/link-remover.ts';
import { checkPod } from '../kernel/check-pod.ts';
import type { LinkMaker } from '../kernel/link-maker.ts';
import { netnsId } from '../kernel/netns.ts';
import { detachPod, type PodWiring, type PreparedPod, preparePodAsync } from '../kernel/pod-link.ts';
import type { Rtnl } from '../kernel/rtnl.ts';
import type { Sysctls } from '../kernel/sysctl.ts';
import type { Lease } from '../plan/snapshot.ts';
import { Batch } from './batch.ts';
import type { Datapath } from './pod-network.ts';

/** What a kernel datapath stands on. */
export interface KernelDatapathOptions {
  readonly rtnl: Rtnl;
  readonly sysctls: Sysctls;
  readonly maker: LinkMaker;
  readonly remover: LinkRemover;
  readonly conntrack: Pick<Conntrack, 'removeByAddress'>;
  /** The plans in force and the MTU of pods, in bytes. */
  readonly network: () => { readonly plans: readonly Plan[]; readonly mtu: number };
  /** Resolves when the kernel has committed the rules of all leases on file. */
  readonly commit: () => Promise<void>;
}

/** Attachments as veth pairs, and their policy as part of the one ruleset. */
export class KernelDatapath implements Datapath {
  readonly #options: KernelDatapathOptions;
  /** Made and not up yet, by host interface. */
  readonly #prepared = new Map<string, PreparedPod>();

  /** Forgets the connections of all the addresses that wait for it: each look through conntrack costs 10 ms. */
  readonly #forget: Batch<Lease>;

  constructor(options: KernelDatapathOptions) {
    this.#options = options;
    this.#forget = new Batch((leases) => {
      options.conntrack.removeByAddress(leases.flatMap(({ addresses }) => addresses));
    });
  }

  async prepare(lease: Lease, netnsPath: string): Promise<void> {
    const { rtnl, maker, sysctls } = this.#options;
    const wiring = this.#wiring(lease, netnsPath);
    this.#prepared.set(lease.hostInterface, await preparePodAsync(rtnl, maker, wiring, sysctls));
  }

  async enforce(): Promise<void> {
    // The lease is on file, so that the next snapshot has it.
    await this.#options.commit();
  }

  up({ hostInterface, namespace, pod }: Lease): void {
    const prepared = this.#prepared.get(hostInterface);
    if (prepared === undefined) throw new Error(`could not bring pod ${namespace}/${pod} up: its link was not made`);
    this.#prepared.delete(hostInterface);
    prepared.up();
  }

  async detach(lease: Lease): Promise<void> {
    const prepared = this.#prepared.get(lease.hostInterface);
    this.#prepared.delete(lease.hostInterface);
    // First off the network, then out of the rules: the other way round it would be without policy in between.
    if (prepared === undefined) detachPod(this.#options.rtnl, lease);
    else prepared.abort();
    await this.#options.commit();
  }

  async remove(lease: Lease): Promise<void> {
    await this.#options.remover.remove(lease.hostInterface);
    await this.#forget.add(lease);
  }

  netnsId(netnsPath: string): string {
    return netnsId(netnsPath) ?? '';
  }

  check(lease: Lease, netnsPath: string): readonly string[] {
    return checkPod(this.#options.rtnl, this.#wiring(lease, netnsPath));
  }

  #wiring({ hostInterface, hostMac, podMac, ifname, addresses }: Lease, netnsPath: string): PodWiring {
    const { plans, mtu } = this.#options.network();
    const gateways = addresses.flatMap((address) =>
      plans.flatMap((plan) => {
        const fields = decode(plan, address);
        return fields === undefined ? [] : [gateway(plan, fields.host)];
      }),
    );
    return { netnsPath, hostInterface, hostMac, podMac, ifname, addresses, gateways, mtu };
  }
}
