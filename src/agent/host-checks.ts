import type { Address } from '../addr/address.ts';
import { CONFLIST_FILE } from '../cni/conflist.ts';
import type { ForwardChain } from '../kernel/base-chains.ts';
import type { Way } from '../kernel/routes.ts';
import type { Condition } from '../objects/host-report.ts';

/** What was found on a host that may keep its pods from the network. */
export interface HostFacts {
  /** Of everybody's chains, those that packets of pods go through. */
  readonly chains: readonly ForwardChain[];
  /** The addresses of the other hosts by which their pods are reached, and the way to them. */
  readonly hosts: readonly { readonly host: string; readonly address: Address; readonly way: Way }[];
  /** The folder in which container runtimes look for the network, and the files in it. */
  readonly configuration: { readonly directory: string; readonly files: readonly string[] };
  /** Address prefixes of the plans, for the words. */
  readonly prefixes: readonly string[];
}

/** A condition without its times. */
type Finding = Omit<Condition, 'lastTransitionTime'>;

/** The table that is ours. */
const OWN_TABLE = 'romana';
/** So many are named; the rest is counted. */
const MAX_NAMED = 5;

/**
 * What blocks pods of this host although Romana does its part, as conditions that are `True` when nothing does:
 * `ForwardingAllowed` (`Unknown` when it is for others' rules to say), `HostsReachable`, `NetworkSelected`.
 *
 * @param before those told last, whose times stay while their status does.
 * @param now RFC 3339.
 */
export function hostConditions(facts: HostFacts, before: readonly Condition[], now: string): readonly Condition[] {
  return [forwarding(facts), reachability(facts), selection(facts)].map(({ type, status, reason, message }) => {
    const known = before.find((condition) => condition.type === type);
    const lastTransitionTime = known?.status === status ? known.lastTransitionTime : now;
    return { type, status, reason, message, lastTransitionTime };
  });
}

function forwarding({ chains, prefixes }: HostFacts): Finding {
  const type = 'ForwardingAllowed';
  const dropping = chains.filter(({ family, table, policy }) => policy === 'drop' && !isOurs(family, table));
  if (dropping.length === 0) {
    return { type, status: 'True', reason: 'NoForeignDrop', message: 'no chain of others drops forwarded packets' };
  }
  const certain = dropping.some(({ rules }) => rules === 0);
  const which = named(dropping.map(({ family, table, name }) => `chain ${name} of table ${family} ${table}`));
  const effect = certain ? 'drops all packets of pods' : 'drops packets of pods unless one of its rules accepts them';
  return {
    type,
    status: certain ? 'False' : 'Unknown',
    reason: 'ForeignForwardDrop',
    message: `${which} on the forward hook has policy drop and ${effect}; accept ${prefixes.join(' and ')} there, as source and as destination`,
  };
}

function isOurs(family: string, table: string): boolean {
  return family === 'inet' && table === OWN_TABLE;
}

function reachability({ hosts }: HostFacts): Finding {
  const type = 'HostsReachable';
  const none = hosts.filter(({ way }) => way === 'none');
  const routed = hosts.filter(({ way }) => way === 'router');
  const local = hosts.filter(({ way }) => way === 'local');
  const list = (of: HostFacts['hosts']): string => named(of.map(({ host, address }) => `${host} (${address})`));
  const said: string[] = [];
  if (none.length > 0) said.push(`no route leads to ${list(none)}: give this node one to the link of the other nodes`);
  if (routed.length > 0) {
    said.push(`${list(routed)} is behind a router, which has no routes to pods: nodes must be on one link`);
  }
  if (local.length > 0) said.push(`${list(local)} has an address that is this node's own: nodes need their own`);
  if (said.length === 0)
    return { type, status: 'True', reason: 'OnLink', message: 'every host is on a link of this one' };
  const reason = none.length > 0 ? 'NoRoute' : routed.length > 0 ? 'NotOnLink' : 'AddressConflict';
  return { type, status: 'False', reason, message: said.join('; ') };
}

function selection({ configuration: { directory, files } }: HostFacts): Finding {
  const type = 'NetworkSelected';
  const first = files.filter((file) => /\.(conf|conflist|json)$/.test(file)).toSorted()[0];
  if (first === CONFLIST_FILE) {
    return { type, status: 'True', reason: 'First', message: `container runtimes take ${directory}/${first}` };
  }
  const message =
    first === undefined
      ? `${directory} has no ${CONFLIST_FILE}, so container runtimes know no network; restart the agent`
      : `container runtimes take the first file of ${directory}, ${first}, so new pods get another network; remove it`;
  return { type, status: 'False', reason: first === undefined ? 'Missing' : 'OtherNetworkFirst', message };
}

function named(names: readonly string[]): string {
  const shown = names.slice(0, MAX_NAMED).join(', ');
  return names.length > MAX_NAMED ? `${shown} and ${names.length - MAX_NAMED} more` : shown;
}
