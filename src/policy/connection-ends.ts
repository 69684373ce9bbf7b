import { parseAddress, type Address } from '../addr/address.ts';
import { contains, type Cidr } from '../addr/cidr.ts';
import { err, ok, type Result } from '../lib/result.ts';
import type { Node } from '../objects/node.ts';
import { portNameFault } from '../objects/port-name.ts';
import { isRunning, type Cluster } from './cluster.ts';
import type { Pod, ContainerPort } from '../objects/pod.ts';
import type { Party } from './party.ts';
import type { TriedPort } from './verdict-table.ts';

/** One end of a connection that somebody asks about. */
export interface End {
  /** As it was asked for: `a/b`, `host:n`, an address. */
  readonly name: string;
  readonly party: Party;
  /** What its containers declare; nothing for hosts and addresses. */
  readonly ports: readonly ContainerPort[];
}

/** A range of pods' addresses, and whose it is. */
export interface HeldRange {
  /** The name of the host. */
  readonly host: string;
  readonly range: Cidr;
}

/** What is known beside the cluster itself. */
export interface Surroundings {
  readonly nodes: ReadonlyMap<string, Node>;
  /** All pods, by `namespace/name`. */
  readonly pods: ReadonlyMap<string, Pod>;
  /** Where pods' addresses are. */
  readonly ranges: readonly HeldRange[];
}

/**
 * Whose an address is, with this address alone: a pod's, a host's, or nobody's, which is outside; in a range of pods
 * that is nobody's who is known.
 */
function atAddress(cluster: Cluster, { nodes, ranges }: Surroundings, address: Address): End {
  const name = address;
  for (const { party, ports } of cluster.endpoints) {
    if (party.kind === 'outside' || !party.addresses.includes(address)) continue;
    return { name, party: { ...party, addresses: [address] }, ports };
  }
  const node = [...nodes.values()].find(({ addresses }) => addresses.includes(address));
  const host = node === undefined ? undefined : cluster.hosts.get(node.meta.name);
  if (host === undefined) {
    const kind = ranges.some(({ range }) => contains(range, address)) ? 'unknown' : 'outside';
    return { name, party: { kind, address }, ports: [] };
  }
  return { name, party: { ...host, addresses: [address] }, ports: [] };
}

/** Finds the end that `text` names: `NAMESPACE/POD`, `host:NODE` or an address. */
export function findEnd(text: string, cluster: Cluster, around: Surroundings): Result<End> {
  if (text.startsWith('host:')) {
    const host = cluster.hosts.get(text.slice('host:'.length));
    return host === undefined
      ? err(`there is no host ${text.slice('host:'.length)}`)
      : ok({ name: text, party: host, ports: [] });
  }
  const address = parseAddress(text);
  if (address.ok) return ok(atAddress(cluster, around, address.value));
  if (!/^[^/]+\/[^/]+$/.test(text)) return err(`${JSON.stringify(text)} is no NAMESPACE/POD, host:NODE or address`);
  const endpoint = cluster.endpoints.find(({ name }) => name === text);
  if (endpoint !== undefined) return ok(endpoint);
  const pod = around.pods.get(text);
  if (pod === undefined) return err(`there is no pod ${text}`);
  return err(isRunning(pod) ? `pod ${text} is not running` : `pod ${text} does not run: it is ${pod.phase}`);
}

/** Reads a port to try: `TCP/80`, `UDP/dns` (a container port of the destination), `ICMP`. */
export function parseTriedPort(text: string): Result<TriedPort> {
  if (/^icmp$/i.test(text)) return ok({ protocol: 'ICMP' });
  const [, name = '', port = ''] = /^(tcp|udp|sctp)\/(.+)$/i.exec(text) ?? [];
  const protocol = (['TCP', 'UDP', 'SCTP'] as const).find((known) => known === name.toUpperCase());
  if (protocol === undefined) return err(`${JSON.stringify(text)} is no PROTOCOL/PORT, as TCP/80, UDP/dns or ICMP`);
  if (!/^\d+$/.test(port)) {
    const fault = portNameFault(port);
    return fault === undefined ? ok({ protocol, name: port }) : err(`${JSON.stringify(text)}: a port's name ${fault}`);
  }
  const number = Number(port);
  if (number < 1 || number > 65_535) return err(`${JSON.stringify(text)}: ports are from 1 to 65535`);
  return ok({ protocol, port: number });
}
