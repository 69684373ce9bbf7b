import { familyBits, familyOf } from '../addr/address.ts';
import type { Address, Family } from '../addr/address.ts';
import type { Cidr } from '../addr/cidr.ts';
import type { DesiredRoute } from './routes.ts';
import type { Lease } from './snapshot.ts';

/** What a lease comes to in every plan, whatever else there is. */
export interface LeaseTexts {
  /** Its interface, as an element. */
  readonly name: string;
  /** Its interface twice, as an element. */
  readonly self: string;
  readonly endpoints: readonly {
    readonly address: Address;
    readonly family: Family;
    /** Interface and address, as an element. */
    readonly element: string;
    readonly route: DesiredRoute;
  }[];
}

const made = new WeakMap<Lease, LeaseTexts>();

/** The texts of `lease`, made once: plans are made of the same leases over and over. */
export function leaseTexts(lease: Lease): LeaseTexts {
  const before = made.get(lease);
  if (before !== undefined) return before;
  const { hostInterface: dev, podMac: mac, addresses } = lease;
  const name = quoted(dev);
  const endpoints = addresses.map((address) => {
    const family = familyOf(address);
    // The whole length of a canonical address: no need to take it apart.
    const route: DesiredRoute = { kind: 'unicast', dst: `${address}/${familyBits(family)}` as Cidr, dev, mac };
    return { address, family, element: `${name} . ${address}`, route };
  });
  const texts = { name, self: `${name} . ${name}`, endpoints };
  made.set(lease, texts);
  return texts;
}

/** The name of an interface as an element of a set; anything that nft would read otherwise is a bug of the agent. */
function quoted(name: string): string {
  if (!/^[A-Za-z0-9._-]{1,15}$/.test(name)) throw new RangeError(`${JSON.stringify(name)} is no interface of ours`);
  return `"${name}"`;
}
