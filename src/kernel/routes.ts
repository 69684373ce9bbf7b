import type { Address, Family } from '../addr/address.ts';
import type { Cidr } from '../addr/cidr.ts';
import { addressOf, addressToBytes, cidrToBytes, familyNumber, familyOfNumber, familyOfText } from './address-bytes.ts';
import { BodyWriter, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, readAttributes, readU32 } from './netlink-codec.ts';
import type { MessageView, NetlinkRequest } from './netlink-codec.ts';

// linux/rtnetlink.h
const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RTM_GETROUTE = 26;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_PREFSRC = 7;
const RTA_TABLE = 15;
const RT_TABLE_UNSPEC = 0;
const RT_TABLE_MAIN = 254;
const RT_SCOPE_UNIVERSE = 0;
const RT_SCOPE_LINK = 253;
const RT_SCOPE_NOWHERE = 255;
const RTPROT_BOOT = 3;
const RTN_UNICAST = 1;
const RTN_LOCAL = 2;
const RTN_BLACKHOLE = 6;
const RTNH_F_ONLINK = 4;
const RTM_F_CLONED = 0x200;
const HEADER_BYTES = 12;
const DEFAULT_IPV6_METRIC = 1024;

/** The protocol number of Romana's routes, `R`: by it we know ours, and only ours. */
export const ROMANA_PROTOCOL = 82;

/** A route of the main table. */
export interface Route {
  readonly kind: 'unicast' | 'blackhole';
  readonly dst: Cidr;
  /** The next hop; left out when the destination is on the link. */
  readonly via?: Address;
  /** The index of the interface; left out of blackholes. */
  readonly dev?: number;
  /** Take the next hop as being on the link, although no route says so. */
  readonly onlink?: boolean;
  /** The source address that the host itself then uses. */
  readonly source?: Address;
  /** Who made it: RTPROT_*, 82 for us. */
  readonly protocol: number;
}

/** Adds a route; EEXIST when there is one to the same destination. */
export function addRoute(route: Route): NetlinkRequest {
  return request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, route, 'add');
}

/** Adds a route in place of the one to the same destination, whoever made that. */
export function replaceRoute(route: Route): NetlinkRequest {
  return request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route, 'set');
}

/** Removes a route of just this description; one that is not there counts as removed. */
export function deleteRoute(route: Route): NetlinkRequest {
  return { ...request(RTM_DELROUTE, 0, route, 'delete'), tolerate: ['ESRCH', 'ENODEV'] };
}

/** Asks for the routes of a family, of both by default (a dump); the kernel itself picks those of `protocol`. */
export function listRoutes({
  family,
  protocol,
}: { readonly family?: Family; readonly protocol?: number } = {}): NetlinkRequest {
  const body = new BodyWriter();
  body
    .u8(family === undefined ? 0 : familyNumber(family))
    .u8(0)
    .u8(0)
    .u8(0);
  body
    .u8(RT_TABLE_UNSPEC)
    .u8(protocol ?? 0)
    .u8(0)
    .u8(0)
    .u32(0);
  return { type: RTM_GETROUTE, flags: 0, body: body.finish(), what: 'list the routes' };
}

/** Which way packets go: to this machine itself, to a neighbour on a link, through a router, or none at all. */
export type Way = 'local' | 'link' | 'router' | 'none';

/** A way, and the index of the interface that it leaves by. */
export interface Path {
  readonly way: Way;
  /** Missing where there is no way. */
  readonly dev?: number;
}

/** Asks which way packets to `address` go; the reply is for `pathOf`. None comes where there is no way. */
export function lookUpRoute(address: Address): NetlinkRequest {
  const bytes = addressToBytes(address);
  const body = new BodyWriter()
    .u8(familyNumber(familyOfText(address)))
    .u8(bytes.length * 8)
    .u16(0)
    .u32(0)
    .u32(0);
  return {
    type: RTM_GETROUTE,
    flags: 0,
    body: body.attribute(RTA_DST, bytes).finish(),
    what: `look up the route to ${address}`,
    tolerate: ['ENETUNREACH', 'EHOSTUNREACH', 'EINVAL', 'EACCES'],
  };
}

/** The path that the reply to `lookUpRoute` tells. */
export function pathOf({ type, buffer, start, end }: MessageView): Path {
  const kind = buffer[start + 7];
  if (type !== RTM_NEWROUTE || (kind !== RTN_LOCAL && kind !== RTN_UNICAST)) return { way: 'none' };
  const attributes = readAttributes(buffer, start + HEADER_BYTES, end);
  const dev = readU32(attributes.get(RTA_OIF));
  const way = kind === RTN_LOCAL ? 'local' : attributes.has(RTA_GATEWAY) ? 'router' : 'link';
  return { way, ...(dev === undefined ? {} : { dev }) };
}

/** A route of the main table from an RTM_NEWROUTE message; undefined for all others (local, multipath, cached ones). */
export function decodeRoute({ type, buffer, start, end }: MessageView): Route | undefined {
  if (type !== RTM_NEWROUTE) return undefined;
  const family = familyOfNumber(buffer[start] ?? 0);
  const kind = buffer[start + 7];
  if (family === undefined || (kind !== RTN_UNICAST && kind !== RTN_BLACKHOLE)) return undefined;
  const flags = buffer.readUInt32LE(start + 8);
  if ((flags & RTM_F_CLONED) !== 0) return undefined;
  const attributes = readAttributes(buffer, start + HEADER_BYTES, end);
  if ((readU32(attributes.get(RTA_TABLE)) ?? buffer[start + 4]) !== RT_TABLE_MAIN) return undefined;
  const dev = readU32(attributes.get(RTA_OIF));
  if (kind === RTN_UNICAST && dev === undefined) return undefined;
  const base = attributes.get(RTA_DST);
  const via = attributes.get(RTA_GATEWAY);
  const source = attributes.get(RTA_PREFSRC);
  const any = family === 4 ? '0.0.0.0' : '::';
  return {
    kind: kind === RTN_UNICAST ? 'unicast' : 'blackhole',
    dst: `${base === undefined ? any : addressOf(base)}/${buffer[start + 1] ?? 0}` as Cidr,
    ...(via === undefined ? {} : { via: addressOf(via) }),
    // IPv6 blackholes are said to be on the loopback interface.
    ...(dev === undefined || kind === RTN_BLACKHOLE ? {} : { dev }),
    ...((flags & RTNH_F_ONLINK) === 0 ? {} : { onlink: true }),
    ...(source === undefined ? {} : { source: addressOf(source) }),
    protocol: buffer[start + 5] ?? 0,
  };
}

/**
 * Whether a notification (RTM_NEWROUTE, RTM_DELROUTE) may be about a route of ours: it has our protocol number, or is
 * one of the main table that took the place of another, which the kernel does not name.
 */
export function concernsOurRoutes({ type, flags, buffer, start }: MessageView): boolean {
  if (buffer[start + 5] === ROMANA_PROTOCOL) return true;
  return type === RTM_NEWROUTE && (flags & NLM_F_REPLACE) !== 0 && buffer[start + 4] === RT_TABLE_MAIN;
}

/** A route as a person would write it. */
export function formatRoute(route: Route): string {
  const words = [route.kind === 'blackhole' ? `blackhole ${route.dst}` : route.dst];
  if (route.via !== undefined) words.push(`via ${route.via}`);
  if (route.dev !== undefined) words.push(`dev ${route.dev}`);
  if (route.onlink === true) words.push('onlink');
  if (route.source !== undefined) words.push(`src ${route.source}`);
  words.push(`proto ${route.protocol}`);
  return words.join(' ');
}

function request(type: number, flags: number, route: Route, verb: string): NetlinkRequest {
  const family = familyOfText(route.dst);
  const { bytes, length } = cidrToBytes(route.dst);
  const body = new BodyWriter();
  body.u8(familyNumber(family)).u8(length).u8(0).u8(0);
  body.u8(RT_TABLE_MAIN).u8(route.protocol === 0 ? RTPROT_BOOT : route.protocol);
  body.u8(scopeOf(route, type)).u8(route.kind === 'blackhole' ? RTN_BLACKHOLE : RTN_UNICAST);
  body.u32(route.onlink === true ? RTNH_F_ONLINK : 0);
  if (length > 0) body.attribute(RTA_DST, bytes);
  if (route.via !== undefined) body.attribute(RTA_GATEWAY, addressToBytes(route.via));
  if (route.dev !== undefined) body.attributeU32(RTA_OIF, route.dev);
  if (route.source !== undefined) body.attribute(RTA_PREFSRC, addressToBytes(route.source));
  // Without it, an IPv6 deletion takes routes of any metric.
  if (family === 6) body.attributeU32(RTA_PRIORITY, DEFAULT_IPV6_METRIC);
  return { type, flags, body: body.finish(), what: `${verb} the route ${formatRoute(route)}` };
}

/** IPv4 tells a route on the link from one through a next hop by the scope; IPv6 has none. */
function scopeOf({ kind, via }: Route, type: number): number {
  if (type === RTM_DELROUTE) return RT_SCOPE_NOWHERE;
  return kind === 'blackhole' || via !== undefined ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
}
