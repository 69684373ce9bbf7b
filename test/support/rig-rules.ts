import type { Address } from '../../src/addr/address.ts';
import { forwardVerdict } from '../../src/plan/rules-interpreter.ts';
import type { Rig } from './rig.ts';
import { expectedOf, readCluster, readLeases } from './rig-expected.ts';
import type { RigPod } from './rig-pod.ts';

/** A first packet that can't be sent here. */
export interface UnsentPacket {
  readonly from: RigPod;
  readonly to: RigPod;
  readonly family: 4 | 6;
  readonly protocol: 'sctp';
  readonly port: number;
}

/**
 * What becomes of first packets that nobody can send, such as SCTP's, for which kernels without its module have no
 * sockets: both ends' hosts are asked by the text of their rules, which a RigInspector says is what the kernel has.
 */
export async function judgeByRules(rig: Rig, packets: readonly UnsentPacket[]): Promise<('open' | 'dropped')[]> {
  const cluster = await readCluster(rig.api.client);
  const hosts = new Map(
    rig.hosts.map((host) => {
      const { snapshot, desired } = expectedOf(cluster, host, readLeases(host).leases);
      const links = snapshot.leases.flatMap(({ addresses, hostInterface }) =>
        addresses.map((address): [Address, string] => [address, hostInterface]),
      );
      return [host, { ruleset: desired.ruleset, links: new Map(links) }];
    }),
  );
  return packets.map(({ from, to, family, protocol, port }) => {
    const [saddr, daddr] = [from.address(family), to.address(family)];
    const passes = [from.host, to.host].every((host) => {
      const its = hosts.get(host);
      if (its === undefined) throw new Error(`the rig has no host ${host.name}`);
      const linkOf = (address: Address): string => its.links.get(address) ?? 'eth0';
      const packet = { iifname: linkOf(saddr), oifname: linkOf(daddr), saddr, daddr, l4proto: protocol, dport: port };
      return forwardVerdict(its.ruleset, packet) === 'accept';
    });
    return passes ? 'open' : 'dropped';
  });
}
