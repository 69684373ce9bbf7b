import { findRevocations } from '../../src/agent/revocation.ts';
import type { Address } from '../../src/addr/address.ts';
import { contains } from '../../src/addr/cidr.ts';
import { Conntrack } from '../../src/kernel/conntrack.ts';
import { LibNft } from '../../src/kernel/libnftables.ts';
import { ROMANA_PROTOCOL } from '../../src/kernel/routes.ts';
import { Rtnl } from '../../src/kernel/rtnl.ts';
import { replaceText } from '../../src/nft/text.ts';
import type { Desired } from '../../src/plan/desired.ts';
import { identityIndex } from '../../src/plan/identity.ts';
import type { Lease, Snapshot } from '../../src/plan/snapshot.ts';
import { TestNetns } from './netns.ts';

/** What one host's kernel holds of ours, each thing as a line of text, against what it should hold. */
export class HostKernel {
  readonly #rtnl: Rtnl;
  readonly #nft: LibNft;
  readonly #conntrack: Conntrack;
  /** Where the expected rules are loaded, so that the kernel words both alike. */
  readonly #scratch = TestNetns.create('expected');
  readonly #expected = new LibNft({ netns: this.#scratch.path });

  /** @param netns the file of the host's network namespace. */
  constructor(netns: string) {
    this.#rtnl = Rtnl.open({ netns });
    this.#nft = new LibNft({ netns });
    this.#conntrack = Conntrack.open({ netns });
  }

  /** What differs from what follows from `snapshot`, a sentence each; nothing when the host is whole. */
  problems(snapshot: Snapshot, { routes, ruleset }: Desired): string[] {
    this.#expected.run(replaceText(ruleset));
    const rules = this.#expected.list(ruleset.table);
    return [
      ...difference('link', this.#links(), linksOf(snapshot.leases)),
      ...difference('neighbour', this.#neighbours(), neighboursOf(snapshot.leases)),
      ...difference('route', this.#routes(), routesOf(routes)),
      ...difference('rules', blocksOf(this.#nft.list(ruleset.table)), blocksOf(rules)),
      ...this.#connections(snapshot),
    ];
  }

  close(): void {
    this.#rtnl.close();
    this.#nft.close();
    this.#conntrack.close();
    this.#expected.close();
    this.#scratch.removeNow();
  }

  #links(): string[] {
    return [...this.#ours().values()].map(({ name, running }) => `${name} ${running ? 'up' : 'down'}`);
  }

  #neighbours(): string[] {
    const ours = this.#ours();
    const found = this.#rtnl.neighbours().filter(({ permanent }) => permanent);
    return found.flatMap(({ index, address, mac }) => {
      const link = ours.get(index);
      return link === undefined ? [] : [`${link.name} ${address} ${mac}`];
    });
  }

  #routes(): string[] {
    const names = new Map(this.#rtnl.links().map(({ index, name }) => [index, name]));
    return this.#rtnl
      .routes({ protocol: ROMANA_PROTOCOL })
      .map(({ kind, dst, via, dev }) => routeText(kind, dst, via ?? (dev === undefined ? '' : (names.get(dev) ?? ''))));
  }

  /** Connections whose mark is not as policy has it, and those of addresses that nobody has any more. */
  #connections(snapshot: Snapshot): string[] {
    const identities = identityIndex(snapshot);
    const local = new Set(snapshot.leases.flatMap(({ addresses }) => addresses));
    const { cut, pardon } = findRevocations(this.#conntrack.list(), {
      world: { ...snapshot, segmentLabel: snapshot.network.segmentLabel },
      partyOf: (address) => identities.partyOf(address),
      isLocal: (address) => local.has(address),
    });
    const ranges = snapshot.hosts.get(snapshot.node)?.ranges ?? [];
    const isStray = (address: Address): boolean =>
      !local.has(address) && ranges.some((range) => contains(range, address));
    const stray = this.#conntrack.list().filter(({ orig, reply }) => isStray(orig.src) || isStray(reply.src));
    const text = ({ protocol, orig, reply }: (typeof cut)[number]): string =>
      `${protocol} ${orig.src} ${orig.sport} -> ${reply.src} ${reply.sport}`;
    return [
      ...cut.map((entry) => `the connection ${text(entry)} is not cut`),
      ...pardon.map((entry) => `the connection ${text(entry)} is cut`),
      ...stray.map((entry) => `the connection ${text(entry)} is of an address that nobody has`),
    ];
  }

  #ours(): ReadonlyMap<number, ReturnType<Rtnl['links']>[number]> {
    return new Map(
      this.#rtnl
        .links()
        .filter(({ name }) => name.startsWith('roma'))
        .map((link) => [link.index, link]),
    );
  }
}

function linksOf(leases: readonly Lease[]): string[] {
  return leases.map(({ hostInterface }) => `${hostInterface} up`);
}

function neighboursOf(leases: readonly Lease[]): string[] {
  return leases.flatMap(({ hostInterface, addresses, podMac }) =>
    addresses.map((address) => `${hostInterface} ${address} ${podMac}`),
  );
}

function routesOf(routes: Desired['routes']): string[] {
  return routes.map(({ kind, dst, via, dev }) => routeText(kind, dst, via ?? dev ?? ''));
}

function routeText(kind: string, dst: string, by: string): string {
  return `${kind} ${dst} ${by}`.trimEnd();
}

/** Sets and chains as nft lists them, less what was counted, and with the elements in order: of sets without intervals the kernel's says nothing. */
function blocksOf(table: string): string[] {
  const uncounted = table.replaceAll(/ packets \d+ bytes \d+/g, '');
  const sorted = uncounted.replaceAll(
    /(elements = |dport |l4proto )\{([^}]*)\}/g,
    (_, of: string, elements: string) => {
      const each = elements.split(',').map((element) => element.trim());
      return `${of}{ ${each.sort().join(', ')} }`;
    },
  );
  return sorted.split('\n\n').map((block) => block.replace(/^table inet romana \{\n/, '').replace(/\n\}\n*$/, ''));
}

/** What is there and should not be, and the other way round; equal lines count as often as they are there. */
export function difference(what: string, found: readonly string[], wanted: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const line of found) counts.set(line, (counts.get(line) ?? 0) + 1);
  for (const line of wanted) counts.set(line, (counts.get(line) ?? 0) - 1);
  return [...counts].flatMap(([line, count]) => {
    if (count === 0) return [];
    return [count > 0 ? `${what} that should not be: ${line}` : `${what} that is missing: ${line}`];
  });
}
