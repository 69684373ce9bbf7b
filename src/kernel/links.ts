import {
  BodyWriter,
  NLM_F_CREATE,
  NLM_F_EXCL,
  readAttributes,
  readNested,
  readText,
  readU32,
} from './netlink-codec.ts';
import type { MessageView, NetlinkRequest } from './netlink-codec.ts';
import { AF_INET, AF_INET6 } from './libc.ts';

// linux/if_link.h, linux/if.h, linux/rtnetlink.h, linux/veth.h
export const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const RTM_SETLINK = 19;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINK = 5;
const IFLA_MASTER = 10;
const IFLA_OPERSTATE = 16;
const IFLA_LINKINFO = 18;
const IFLA_AF_SPEC = 26;
const IFLA_GROUP = 27;
const IFLA_NET_NS_FD = 28;
const IFLA_EXT_MASK = 29;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const VETH_INFO_PEER = 1;
const IFLA_INET_CONF = 1;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const ADDR_GEN_NONE = 1;
const IFF_UP = 1;
const OPERSTATE_UP = 6;
/** RTEXT_FILTER_SKIP_STATS: what an interface has carried is nothing that we look at. */
const SKIP_STATS = 1 << 3;

/** What an interface is called by: its index, or its name, which the kernel looks up. */
export type LinkRef = number | string;

/** One end of a veth pair. */
export interface VethEnd {
  readonly name: string;
  /** `02:52:...`, six bytes in hex with colons. */
  readonly mac: string;
  /** In bytes. */
  readonly mtu: number;
  /** 0 by default. */
  readonly group?: number;
}

/** An interface as the kernel describes it. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** `veth`, `bridge`, ...; '' of physical ones and loopback. */
  readonly kind: string;
  readonly mtu: number;
  /** '' where there is none. */
  readonly mac: string;
  /** Whether it is set up (IFF_UP), with or without a carrier. */
  readonly up: boolean;
  /** Whether packets can pass (operstate UP, RFC 2863). */
  readonly running: boolean;
  /** The index of the bridge that it is a port of, 0 for none. */
  readonly master: number;
  /** The index of a veth's other end in its own namespace (or of a VLAN's parent), 0 for none. */
  readonly peerIndex: number;
  readonly group: number;
}

/** What `setLink` changes; what is left out stays. */
export interface LinkChange {
  readonly up?: boolean;
  readonly name?: string;
  readonly mtu?: number;
  /** The index of a bridge; 0 takes it out of its bridge. */
  readonly master?: number;
  readonly group?: number;
  /** Whether the kernel gives it an IPv6 link-local address when it goes up. */
  readonly linkLocal?: false;
  /** IPv4 settings by number (IPV4_DEVCONF_* of linux/ip.h): without a write to /proc. */
  readonly ipv4?: ReadonlyMap<number, number>;
}

export const IPV4_DEVCONF_PROXY_ARP = 3;
export const IPV4_DEVCONF_ACCEPT_REDIRECTS = 4;
export const IPV4_DEVCONF_SEND_REDIRECTS = 6;
export const IPV4_DEVCONF_ACCEPT_SOURCE_ROUTE = 9;
export const IPV4_DEVCONF_ARP_IGNORE = 19;

/** Makes a veth pair with one end in this namespace and the other in the one that `peerNetnsFd` refers to. */
export function createVeth(host: VethEnd, peer: VethEnd, peerNetnsFd?: number): NetlinkRequest {
  const body = linkHeader(0, 0, 0);
  writeEnd(body, host);
  body.nested(IFLA_LINKINFO, () => {
    body.attributeText(IFLA_INFO_KIND, 'veth');
    body.nested(IFLA_INFO_DATA, () => {
      body.nested(VETH_INFO_PEER, () => {
        writeLinkHeader(body, 0, 0, 0);
        writeEnd(body, peer);
        if (peerNetnsFd !== undefined) body.attributeU32(IFLA_NET_NS_FD, peerNetnsFd);
      });
    });
  });
  return {
    type: RTM_NEWLINK,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    body: body.finish(),
    what: `make the veth pair ${host.name} - ${peer.name}`,
  };
}

/** Makes a bridge, without spanning tree (the kernel's default). */
export function createBridge(name: string): NetlinkRequest {
  const body = linkHeader(0, 0, 0).attributeText(IFLA_IFNAME, name);
  body.nested(IFLA_LINKINFO, () => body.attributeText(IFLA_INFO_KIND, 'bridge'));
  return { type: RTM_NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL, body: body.finish(), what: `make the bridge ${name}` };
}

/** Removes an interface; one that is not there counts as removed. */
export function deleteLink(link: LinkRef): NetlinkRequest {
  return {
    type: RTM_DELLINK,
    flags: 0,
    body: refer(link, 0, 0).finish(),
    what: `delete the interface ${link}`,
    tolerate: ['ENODEV'],
  };
}

/** Removes all interfaces of a group at once, which takes the kernel hardly longer than one. */
export function deleteLinkGroup(group: number): NetlinkRequest {
  return {
    type: RTM_DELLINK,
    flags: 0,
    body: linkHeader(0, 0, 0).attributeU32(IFLA_GROUP, group).finish(),
    what: `delete the interfaces of group ${group}`,
    tolerate: ['ENODEV'],
  };
}

/** Changes an interface. */
export function setLink(link: LinkRef, change: LinkChange): NetlinkRequest {
  const flags = change.up === true ? IFF_UP : 0;
  const body = refer(link, flags, change.up === undefined ? 0 : IFF_UP);
  // With an index, IFLA_IFNAME is the new name.
  if (change.name !== undefined) {
    if (typeof link === 'string') throw new TypeError(`setLink: to rename ${link}, its index is needed`);
    body.attributeText(IFLA_IFNAME, change.name);
  }
  if (change.mtu !== undefined) body.attributeU32(IFLA_MTU, change.mtu);
  if (change.master !== undefined) body.attributeU32(IFLA_MASTER, change.master);
  if (change.group !== undefined) body.attributeU32(IFLA_GROUP, change.group);
  if (change.linkLocal !== undefined || change.ipv4 !== undefined) writeFamilies(body, change);
  return { type: RTM_SETLINK, flags: 0, body: body.finish(), what: `change the interface ${link}` };
}

/** Asks for one interface; the reply is for `decodeLink`. */
export function getLink(link: LinkRef): NetlinkRequest {
  const body = refer(link, 0, 0).attributeU32(IFLA_EXT_MASK, SKIP_STATS);
  return { type: RTM_GETLINK, flags: 0, body: body.finish(), what: `find the interface ${link}` };
}

/** Asks for all interfaces (a dump). */
export function listLinks(): NetlinkRequest {
  const body = linkHeader(0, 0, 0).attributeU32(IFLA_EXT_MASK, SKIP_STATS);
  return { type: RTM_GETLINK, flags: 0, body: body.finish(), what: 'list the interfaces' };
}

/** An interface from an RTM_NEWLINK message; undefined for any other message. */
export function decodeLink({ type, buffer, start, end }: MessageView): Link | undefined {
  if (type !== RTM_NEWLINK) return undefined;
  const attributes = readAttributes(buffer, start + 16, end);
  return {
    index: buffer.readInt32LE(start + 4),
    name: readText(attributes.get(IFLA_IFNAME)) ?? '',
    kind: readText(readNested(attributes.get(IFLA_LINKINFO)).get(IFLA_INFO_KIND)) ?? '',
    mtu: readU32(attributes.get(IFLA_MTU)) ?? 0,
    mac: formatMac(attributes.get(IFLA_ADDRESS)),
    up: (buffer.readUInt32LE(start + 8) & IFF_UP) !== 0,
    running: attributes.get(IFLA_OPERSTATE)?.[0] === OPERSTATE_UP,
    master: readU32(attributes.get(IFLA_MASTER)) ?? 0,
    peerIndex: readU32(attributes.get(IFLA_LINK)) ?? 0,
    group: readU32(attributes.get(IFLA_GROUP)) ?? 0,
  };
}

/** The six bytes of a MAC address. */
export function macToBytes(mac: string): Buffer {
  const bytes = Buffer.from(mac.replaceAll(':', ''), 'hex');
  if (bytes.length !== 6) throw new TypeError(`"${mac}" is no MAC address`);
  return bytes;
}

/** A MAC address in lower-case hex with colons, '' of no bytes. */
export function formatMac(bytes: Buffer | undefined): string {
  return bytes === undefined ? '' : (bytes.toString('hex').match(/../g) ?? []).join(':');
}

function writeEnd(body: BodyWriter, end: VethEnd): void {
  body.attributeText(IFLA_IFNAME, end.name);
  body.attribute(IFLA_ADDRESS, macToBytes(end.mac));
  body.attributeU32(IFLA_MTU, end.mtu);
  if (end.group !== undefined) body.attributeU32(IFLA_GROUP, end.group);
}

function writeFamilies(body: BodyWriter, { linkLocal, ipv4 }: LinkChange): void {
  body.nested(IFLA_AF_SPEC, () => {
    if (ipv4 !== undefined) {
      body.nested(AF_INET, () => {
        body.nested(IFLA_INET_CONF, () => {
          for (const [setting, value] of ipv4) body.attributeU32(setting, value);
        });
      });
    }
    if (linkLocal === false) {
      body.nested(AF_INET6, () => body.attributeU8(IFLA_INET6_ADDR_GEN_MODE, ADDR_GEN_NONE));
    }
  });
}

function refer(link: LinkRef, flags: number, mask: number): BodyWriter {
  if (typeof link === 'number') return linkHeader(link, flags, mask);
  return linkHeader(0, flags, mask).attributeText(IFLA_IFNAME, link);
}

function linkHeader(index: number, flags: number, mask: number): BodyWriter {
  const body = new BodyWriter();
  writeLinkHeader(body, index, flags, mask);
  return body;
}

/** `struct ifinfomsg` */
function writeLinkHeader(body: BodyWriter, index: number, flags: number, mask: number): void {
  body.u8(0).u8(0).u16(0).u32(index).u32(flags).u32(mask);
}
