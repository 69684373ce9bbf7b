import type { Address, Family } from '../addr/address.ts';
import { familyOfText } from './address-bytes.ts';
import {
  countEntries,
  decodeCount,
  EntryDecoder,
  listEntries,
  listEntriesOf,
  markEntry,
  removeEntry,
} from './conntrack-codec.ts';
import type { AddressPlace, ConntrackEntry } from './conntrack-codec.ts';
import { NETLINK_NETFILTER, NetlinkSocket } from './netlink.ts';

export type { ConntrackEntry, ConntrackTuple } from './conntrack-codec.ts';

const PLACES: readonly AddressPlace[] = ['orig.src', 'orig.dst', 'reply.src', 'reply.dst'];

/** Below so many entries for each address, reading all of them is quicker than to have the kernel search them. */
const ENTRIES_WORTH_A_SEARCH = 2_000;

/** The connections that the kernel follows in one network namespace (ctnetlink). */
export class Conntrack {
  readonly #socket: NetlinkSocket;

  private constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** Opens it for this thread's network namespace, or for `netns` (a path or an open descriptor). */
  static open(options: { readonly netns?: string | number } = {}): Conntrack {
    return new Conntrack(NetlinkSocket.open(NETLINK_NETFILTER, options));
  }

  /** All connections of a family, of both by default. Synchronous: 100,000 take a few hundred milliseconds. */
  list(family?: Family): ConntrackEntry[] {
    return this.#socket.dump(listEntries(family), new EntryDecoder().decode);
  }

  /** The connections that have any of `addresses` at any end, before or after translation. */
  listByAddress(addresses: readonly Address[]): ConntrackEntry[] {
    if (addresses.length === 0) return [];
    const wanted = new Set(addresses);
    if (this.count() < ENTRIES_WORTH_A_SEARCH * addresses.length) {
      return this.list().filter((entry) => involves(entry, wanted));
    }
    const found = new Map<string, ConntrackEntry>();
    for (const address of wanted) {
      const family = familyOfText(address);
      for (const place of PLACES) {
        const entries = this.#socket.dump(listEntriesOf(address, family, place), new EntryDecoder().decode);
        // A kernel that does not know the filter gave everything.
        for (const entry of entries) if (involves(entry, wanted)) found.set(keyOf(entry), entry);
      }
    }
    return [...found.values()];
  }

  /** How many connections there are. */
  count(): number {
    let count = 0;
    this.#socket.batch([countEntries()], (message) => {
      count = decodeCount(message) ?? count;
    });
    return count;
  }

  /** Sets the bits of `mask` in the marks of `entries` to those of `value`. What has ended meanwhile is left out. */
  setMark(entries: readonly ConntrackEntry[], value: number, mask: number): void {
    this.#socket.batch(entries.map((entry) => markEntry(entry, value, mask)));
  }

  /** Forgets connections: the next packet of one is taken for the first of a new one. */
  remove(entries: readonly ConntrackEntry[]): void {
    this.#socket.batch(entries.map(removeEntry));
  }

  /** Forgets all connections that have any of `addresses` at any end; how many these were. */
  removeByAddress(addresses: readonly Address[]): number {
    const entries = this.listByAddress(addresses);
    this.remove(entries);
    return entries.length;
  }

  close(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function involves({ orig, reply }: ConntrackEntry, wanted: ReadonlySet<Address>): boolean {
  return wanted.has(orig.src) || wanted.has(orig.dst) || wanted.has(reply.src) || wanted.has(reply.dst);
}

function keyOf({ id, protocol, orig }: ConntrackEntry): string {
  return `${id} ${protocol} ${orig.src} ${orig.sport} ${orig.dst} ${orig.dport}`;
}
