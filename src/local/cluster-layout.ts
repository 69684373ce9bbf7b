import type { Family } from '../addr/address.ts';
import { err, ok, type Result } from '../lib/result.ts';

/** Most minions that a local cluster has. */
export const MAX_MINIONS = 4;

/** Where local clusters keep what they make; tests bring their own. */
export interface BaseDirectories {
  /** Gone with the machine's next start: pids, kubeconfigs. Default `/run/romana-local`. */
  readonly run: string;
  /** Nodes' files, logs. Default `/var/lib/romana-local`. */
  readonly lib: string;
  /** Where iproute2 looks for named network namespaces (ip-netns(8)). */
  readonly netns: string;
}

/** Where local clusters are on any Linux. */
export const BASE_DIRECTORIES: BaseDirectories = {
  run: '/run/romana-local',
  lib: '/var/lib/romana-local',
  netns: '/run/netns',
};

/**
 * What a local cluster is made of: `embedded` has an API server and a node runtime of our own, `kubernetes` the real
 * ones.
 */
export type Flavour = 'embedded' | 'kubernetes';

/** What kind of cluster it is. */
export interface ClusterKind {
  readonly flavour: Flavour;
  /** The families that nodes have addresses of, in order of preference. */
  readonly families: readonly Family[];
}

/** An embedded cluster. */
export const EMBEDDED: ClusterKind = { flavour: 'embedded', families: [4, 6] };

/** A node beside the master. */
export interface Minion {
  /** `minion1`, ..., or what it was added as. */
  readonly name: string;
  /** From 1 to `MAX_MINIONS`; its addresses end in it. */
  readonly number: number;
}

/** One node of a local cluster. */
export interface NodeLayout {
  /** `master`, `minion1`, ... */
  readonly name: string;
  /** 0 is the master's; the addresses end in it. */
  readonly number: number;
  readonly master: boolean;
  /** The node that registers before it, so that host ids follow the nodes' numbers; undefined for the master. */
  readonly after: string | undefined;
  /** Name of its network namespace, `NAME-master`. */
  readonly netns: string;
  /** Its addresses on the fabric, one a family of the cluster, IPv4 first. */
  readonly addresses: readonly string[];
  /** Of its interface on the fabric: the same at each start, as a machine's is. */
  readonly mac: string;
  /** Its files on the machine. */
  readonly directory: string;
  /** Holds "PID START_TIME" of its process 1, as the machine sees it. */
  readonly pidFile: string;
}

/** A local cluster: its name and where everything of it is. */
export interface ClusterLayout extends ClusterKind {
  readonly name: string;
  readonly base: BaseDirectories;
  readonly runDirectory: string;
  readonly libDirectory: string;
  readonly netnsDirectory: string;
  /** What `up` recorded of the cluster, before it made anything. */
  readonly stateFile: string;
  /** Where people's credentials are, for 127.0.0.1. */
  readonly kubeconfig: string;
  readonly lockFile: string;
  /** Name of the network namespace that holds the bridge. */
  readonly fabric: string;
  readonly nodes: readonly NodeLayout[];
}

/** Where nodes and pods reach the API server; `address6` where there is no IPv4. */
export const API_SERVER = { address: '192.168.99.10', address6: 'fd00:99::10', port: 6443 } as const;

/** Prefixes of the fabric: no plan may give them to pods. */
export const FABRIC_CIDRS = ['192.168.99.0/24', 'fd00:99::/64'] as const;

/** The fabric's own addresses, the nodes' default gateways, without prefix length. */
export const FABRIC_ADDRESSES = ['192.168.99.1', 'fd00:99::1'] as const;

/** A cluster's name: a DNS label (RFC 1123) of at most 40 characters. */
export function parseClusterName(text: string): Result<string> {
  if (/^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$/.test(text)) return ok(text);
  return err(`'${text}' can't be a cluster's name: at most 40 lower case letters, digits and '-', not '-' at an end`);
}

/** How many minions: a whole number from 1 to `MAX_MINIONS`. */
export function parseMinions(text: string): Result<number> {
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && count <= MAX_MINIONS) return ok(count);
  return err(`'${text}' minions can't be had: a number from 1 to ${MAX_MINIONS}`);
}

/** The minions of a cluster that is made with so many. */
export function minionsUpTo(count: number): readonly Minion[] {
  return Array.from({ length: count }, (_, index) => ({ name: `minion${index + 1}`, number: index + 1 }));
}

/** Names that links of the fabric, its namespace or the master have. */
const TAKEN_NAMES = new Set(['master', 'fabric', 'br0', 'lo']);

/**
 * The minion that joins a cluster with these: the lowest number that is free, with the name that goes with it or the one
 * given. A name that is `minion` and a free number takes that.
 */
export function nextMinion(minions: readonly Minion[], name?: string): Result<Minion> {
  if (minions.length >= MAX_MINIONS) {
    return err(`a local cluster has at most ${MAX_MINIONS} minions, and there are ${namesOf(minions)}`);
  }
  const free = minionsUpTo(MAX_MINIONS).filter(({ number }) => minions.every((one) => one.number !== number));
  const [lowest] = free;
  if (lowest === undefined) return err(`no number from 1 to ${MAX_MINIONS} is left for another minion`);
  const names = new Set(minions.map((minion) => minion.name));
  if (name === undefined) {
    const candidates = [...free, ...minionsUpTo(MAX_MINIONS)];
    const found = candidates.find((candidate) => !names.has(candidate.name)) ?? lowest;
    return ok({ name: found.name, number: lowest.number });
  }
  if (!/^[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$/.test(name)) {
    return err(
      `'${name}' can't be a node's name: at most 15 lower case letters, digits and '-', not '-' at an end ` +
        `(its cable is an interface of that name)`,
    );
  }
  if (names.has(name)) return err(`there is a node '${name}' already`);
  if (TAKEN_NAMES.has(name)) return err(`'${name}' can't be a minion's name: the cluster itself has something of it`);
  return ok(free.find((minion) => minion.name === name) ?? { name, number: lowest.number });
}

function namesOf(minions: readonly Minion[]): string {
  return minions.map(({ name }) => name).join(', ');
}

/** Everything of the cluster `name` with these minions, or with so many. */
export function clusterLayout(
  name: string,
  minions: number | readonly Minion[],
  base: BaseDirectories = BASE_DIRECTORIES,
  kind: ClusterKind = EMBEDDED,
): ClusterLayout {
  const runDirectory = `${base.run}/${name}`;
  const libDirectory = `${base.lib}/${name}`;
  const all = [{ name: 'master', number: 0 }, ...(typeof minions === 'number' ? minionsUpTo(minions) : minions)];
  const node = ({ name: nodeName, number }: Minion, index: number): NodeLayout => {
    return {
      name: nodeName,
      number,
      master: number === 0,
      after: all[index - 1]?.name,
      netns: `${name}-${nodeName}`,
      addresses: kind.families.map((family) =>
        family === 4 ? `192.168.99.${10 + number}` : `fd00:99::${10 + number}`,
      ),
      // Locally administered (IEEE 802), and the bytes of the IPv4 address.
      mac: `02:00:c0:a8:63:${(10 + number).toString(16).padStart(2, '0')}`,
      directory: `${libDirectory}/nodes/${nodeName}`,
      pidFile: `${runDirectory}/${nodeName}.pid`,
    };
  };
  return {
    name,
    flavour: kind.flavour,
    families: kind.families,
    base,
    runDirectory,
    libDirectory,
    netnsDirectory: base.netns,
    stateFile: `${runDirectory}/cluster.json`,
    kubeconfig: `${runDirectory}/kubeconfig`,
    lockFile: `${base.run}/.${name}.lock`,
    fabric: `${name}-fabric`,
    nodes: all.map(node),
  };
}

/** The minions of a cluster. */
export function minionsOf({ nodes }: Pick<ClusterLayout, 'nodes'>): readonly Minion[] {
  return nodes.filter((node) => !node.master).map(({ name, number }) => ({ name, number }));
}
