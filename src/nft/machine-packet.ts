import { familyOf, toBits, type Address } from '../addr/address.ts';
import type { MachinePacket } from './machine.ts';

/** The first packet of a new connection: a SYN, a datagram, an INIT, or an echo request. */
export interface NewConnection {
  readonly from: Address;
  readonly to: Address;
  readonly protocol: 'TCP' | 'UDP' | 'SCTP' | 'ICMP';
  /** Of the destination; nothing of ICMP. */
  readonly port?: number;
  /** Names of interfaces; `out` of what stays on this host is missing. */
  readonly in: string;
  readonly out?: string;
}

const PROTOCOL_NUMBERS = { TCP: 6, UDP: 17, SCTP: 132 } as const;
const ICMP = { 4: { number: 1, echo: 8 }, 6: { number: 58, echo: 128 } } as const;
const NFPROTO = { 4: 2, 6: 10 } as const;
const ETHERTYPE = { 4: 0x0800, 6: 0x86dd } as const;
/** IFNAMSIZ of linux/if.h. */
const IFNAME_BYTES = 16;
const CT_STATE_NEW = 8;
const TCP_SYN = 0x02;
const SCTP_INIT = 1;
/** The first of the ports that clients take (RFC 6335). */
const SOURCE_PORT = 49_152;
const HOPS = 64;

/** The packet as nf_tables sees it, without a mark, and without an entry of conntrack before it. */
export function newConnectionPacket(connection: NewConnection): MachinePacket {
  const family = familyOf(connection.from);
  const { protocol } = connection;
  const number = protocol === 'ICMP' ? ICMP[family].number : PROTOCOL_NUMBERS[protocol];
  return {
    meta: new Map([
      ['iifname', nameBytes(connection.in)],
      ...(connection.out === undefined ? [] : [['oifname', nameBytes(connection.out)] as const]),
      ['l4proto', Uint8Array.of(number)],
      ['nfproto', Uint8Array.of(NFPROTO[family])],
      ['protocol', Uint8Array.of(ETHERTYPE[family] >> 8, ETHERTYPE[family] & 0xff)],
    ]),
    ct: new Map([
      ['state', Uint8Array.of(CT_STATE_NEW, 0, 0, 0)],
      ['mark', new Uint8Array(4)],
      ['status', new Uint8Array(4)],
      ['direction', new Uint8Array(1)],
    ]),
    network: networkHeader(connection, number),
    transport: transportHeader(connection),
  };
}

function networkHeader({ from, to }: NewConnection, number: number): Uint8Array {
  if (familyOf(from) === 4) {
    const header = new Uint8Array(20);
    header.set([0x45], 0);
    header.set([HOPS, number], 8);
    header.set(addressBytes(from), 12);
    header.set(addressBytes(to), 16);
    return header;
  }
  const header = new Uint8Array(40);
  header.set([0x60], 0);
  header.set([number, HOPS], 6);
  header.set(addressBytes(from), 8);
  header.set(addressBytes(to), 24);
  return header;
}

function transportHeader({ protocol, port = 0, from }: NewConnection): Uint8Array {
  const ports = [SOURCE_PORT >> 8, SOURCE_PORT & 0xff, port >> 8, port & 0xff];
  switch (protocol) {
    case 'TCP':
      return Uint8Array.of(...ports, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, TCP_SYN, 0xff, 0xff, 0, 0, 0, 0);
    case 'UDP':
      return Uint8Array.of(...ports, 0, 8, 0, 0);
    case 'SCTP':
      return Uint8Array.of(...ports, 0, 0, 0, 0, 0, 0, 0, 0, SCTP_INIT, 0, 0, 20);
    case 'ICMP':
      return Uint8Array.of(ICMP[familyOf(from)].echo, 0, 0, 0, 0, 0, 0, 0);
  }
}

function addressBytes(address: Address): Uint8Array {
  const bytes = new Uint8Array(familyOf(address) === 4 ? 4 : 16);
  let bits = toBits(address);
  for (let at = bytes.length - 1; at >= 0; at -= 1) {
    bytes[at] = Number(bits & 0xffn);
    bits >>= 8n;
  }
  return bytes;
}

function nameBytes(name: string): Uint8Array {
  const bytes = new Uint8Array(IFNAME_BYTES);
  for (let at = 0; at < Math.min(name.length, IFNAME_BYTES - 1); at += 1) bytes[at] = name.charCodeAt(at);
  return bytes;
}
