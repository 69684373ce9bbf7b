import { familyBits, familyOf, fromBits, toBits } from './address.ts';
import type { Address, Family } from './address.ts';
import { cidrBase, cidrFamily, cidrLength, contains, makeCidr, overlaps, parseCidr } from './cidr.ts';
import type { Cidr } from './cidr.ts';
import type { IdRange } from './ids.ts';
import { err, ok, unwrap } from '../lib/result.ts';
import type { Result } from '../lib/result.ts';

/** How the bits of one family's addresses are divided: prefix, host, tenant, segment, endpoint, in this order. */
export interface Plan {
  readonly family: Family;
  /** The prefix that all addresses of pods share. */
  readonly cidr: Cidr;
  /** Widths in bits, each at least 1; with the prefix they add up to 32 or 128. */
  readonly hostBits: number;
  readonly tenantBits: number;
  readonly segmentBits: number;
  readonly endpointBits: number;
}

/** What an address says. Whole numbers from 0; segment 0 is the pods without the segment label. */
export interface Fields {
  readonly host: number;
  readonly tenant: number;
  readonly segment: number;
  readonly endpoint: number;
}

/** Fields read from an address. `pool`: it is one of the shared pool (tenant 0), whose endpoint is the segment's and
 * the endpoint's bits as one number, and whose segment is 0. */
export interface Decoded extends Fields {
  readonly pool?: true;
}

/** A masked compare: `address & mask == value` holds for exactly the addresses meant. */
export interface Masked {
  readonly mask: Address;
  readonly value: Address;
}

/** The smallest endpoint given out: 0, 1 and 2 are by habit the network, the gateway and a DHCP server. */
export const FIRST_ENDPOINT = 3;

const FIELD_LIMIT = 2 ** 31 - 1; // ids live in JSON numbers and in Kubernetes' int32 fields
const WIDTH_TEXT = /^(?:0|[1-9]\d{0,2})$/;
const WIDTHS = ['hostBits', 'tenantBits', 'segmentBits', 'endpointBits'] as const;

/** 10.0.0.0/8:8,4,4,8 and fd00:10::/64:16,16,16,16. */
export const DEFAULT_PLANS: readonly Plan[] = [
  unwrap(parsePlan('10.0.0.0/8:8,4,4,8')),
  unwrap(parsePlan('fd00:10::/64:16,16,16,16')),
];

/** The plan with this prefix and these widths, or why there can be none; a wrong sum is spelled out. */
export function makePlan(parts: {
  cidr: string;
  hostBits: number;
  tenantBits: number;
  segmentBits: number;
  endpointBits: number;
}): Result<Plan> {
  const cidr = parseCidr(parts.cidr);
  if (!cidr.ok) return cidr;
  for (const name of WIDTHS) {
    if (!Number.isInteger(parts[name]) || parts[name] < 1) {
      return err(`plan ${parts.cidr}: ${name} must be a whole number of at least 1, it is ${parts[name]}`);
    }
  }
  const family = cidrFamily(cidr.value);
  const terms = [cidrLength(cidr.value), ...WIDTHS.map((name) => parts[name])];
  const sum = terms.reduce((a, b) => a + b, 0);
  if (sum !== familyBits(family)) {
    return err(
      `plan ${parts.cidr}: prefix, host, tenant, segment and endpoint bits are ${terms.join(' + ')} = ${sum}, ` +
        `an IPv${family} address has ${familyBits(family)}`,
    );
  }
  const { hostBits, tenantBits, segmentBits, endpointBits } = parts;
  return ok({ family, cidr: cidr.value, hostBits, tenantBits, segmentBits, endpointBits });
}

/** Reads "CIDR:HOST,TENANT,SEGMENT,ENDPOINT" (widths in bits), split at the last colon. */
export function parsePlan(text: string): Result<Plan> {
  const colon = text.lastIndexOf(':');
  const widths = text.slice(colon + 1).split(',');
  const [hostBits, tenantBits, segmentBits, endpointBits] = widths.map(Number);
  if (
    colon < 0 ||
    widths.length !== 4 ||
    !widths.every((width) => WIDTH_TEXT.test(width)) ||
    hostBits === undefined ||
    tenantBits === undefined ||
    segmentBits === undefined ||
    endpointBits === undefined
  ) {
    return err(
      `cannot read an address plan from ${JSON.stringify(text)}: it is written as ` +
        'CIDR:HOST,TENANT,SEGMENT,ENDPOINT with widths in bits, like 10.0.0.0/8:8,4,4,8',
    );
  }
  return makePlan({ cidr: text.slice(0, colon), hostBits, tenantBits, segmentBits, endpointBits });
}

/** The text that `parsePlan` reads. */
export function formatPlan(plan: Plan): string {
  return `${plan.cidr}:${plan.hostBits},${plan.tenantBits},${plan.segmentBits},${plan.endpointBits}`;
}

/** The largest host id, inclusive. As all the limits below at most 2^31 - 1. */
export function maxHost(plan: Plan): number {
  return fieldMax(plan.hostBits);
}

/** The largest tenant id; the smallest is 1, since 0 is the shared pool. */
export function maxTenant(plan: Plan): number {
  return fieldMax(plan.tenantBits);
}

/** The largest segment id; the smallest one given to a label is 1. */
export function maxSegment(plan: Plan): number {
  return fieldMax(plan.segmentBits);
}

/** The largest endpoint given out: the field's last number, by habit a broadcast address, never is. Below
 * FIRST_ENDPOINT when the field is too narrow to give out any. */
export function maxEndpoint(plan: Plan): number {
  return Math.min(2 ** plan.endpointBits - 2, FIELD_LIMIT);
}

/** The largest endpoint given out in the shared pool of a host, where segment and endpoint bits are one number. */
export function maxPoolEndpoint(plan: Plan): number {
  return Math.min(2 ** (plan.segmentBits + plan.endpointBits) - 2, FIELD_LIMIT);
}

/**
 * The address with these fields. Tenant 0 is the shared pool: there segment must be 0 and endpoint may use the
 * segment's bits too. A value that does not fit is an error that names it, never bits in the neighbouring field.
 */
export function encode(plan: Plan, fields: Fields): Result<Address> {
  const pool = fields.tenant === 0;
  const limits = {
    host: fieldMax(plan.hostBits),
    tenant: fieldMax(plan.tenantBits),
    segment: pool ? 0 : fieldMax(plan.segmentBits),
    endpoint: fieldMax(plan.endpointBits + (pool ? plan.segmentBits : 0)),
  };
  for (const name of ['host', 'tenant', 'segment', 'endpoint'] as const) {
    const value = fields[name];
    if (!Number.isInteger(value) || value < 0 || value > limits[name]) {
      const where = pool && name !== 'host' ? ' in the shared pool (tenant 0)' : '';
      return err(`${name} ${value} does not fit: plan ${formatPlan(plan)} has ${name} 0 to ${limits[name]}${where}`);
    }
  }
  const bits = fieldBits(plan, fields.host, fields.tenant, fields.segment) | BigInt(fields.endpoint);
  return ok(fromBits(plan.family, prefixBits(plan) | bits));
}

/** Addresses that are remembered with what they mean, for each plan: the same ones are asked for at every change. */
const MAX_REMEMBERED = 8_192;
const decoded = new WeakMap<Plan, Map<Address, Decoded | undefined>>();

/**
 * What `address` says under `plan`; undefined when it lies outside, or when a field is above 2^31 - 1 (no id or
 * endpoint ever is).
 */
export function decode(plan: Plan, address: Address): Decoded | undefined {
  let known = decoded.get(plan);
  if (known === undefined || known.size >= MAX_REMEMBERED) decoded.set(plan, (known = new Map()));
  const before = known.get(address);
  if (before !== undefined || known.has(address)) return before;
  const found = takeApart(plan, address);
  known.set(address, found);
  return found;
}

function takeApart(plan: Plan, address: Address): Decoded | undefined {
  if (!contains(plan.cidr, address)) return undefined;
  let rest = toBits(address);
  const cut = (width: number): number => {
    const value = BigInt.asUintN(width, rest);
    rest >>= BigInt(width);
    return value > BigInt(FIELD_LIMIT) ? Number.NaN : Number(value);
  };
  const low = rest;
  const endpoint = cut(plan.endpointBits);
  const segment = cut(plan.segmentBits);
  const tenant = cut(plan.tenantBits);
  const host = cut(plan.hostBits);
  if (Number.isNaN(tenant) || Number.isNaN(host)) return undefined;
  if (tenant !== 0) return Number.isNaN(segment + endpoint) ? undefined : { host, tenant, segment, endpoint };
  const whole = BigInt.asUintN(plan.segmentBits + plan.endpointBits, low);
  if (whole > BigInt(FIELD_LIMIT)) return undefined;
  return { host, tenant, segment: 0, endpoint: Number(whole), pool: true };
}

/** All addresses of the pods on one host; throws RangeError when the plan has no such host. */
export function hostRange(plan: Plan, host: number): Cidr {
  requireField('host', host, plan.hostBits);
  const base = fromBits(plan.family, prefixBits(plan) | fieldBits(plan, host, 0, 0));
  return makeCidr(base, cidrLength(plan.cidr) + plan.hostBits);
}

/** The address under which pods see their own host: 10.h.0.1, fd00:10::h:0:0:1. */
export function gateway(plan: Plan, host: number): Address {
  return fromBits(plan.family, toBits(cidrBase(hostRange(plan, host))) | 1n);
}

/**
 * The masked compare that holds for exactly the addresses of the plan with the given fields; the network's prefix is
 * always part of it. Throws RangeError for an id that does not fit its field: it would name somebody else's pods.
 */
export function masked(plan: Plan, fields: { host?: number; tenant?: number; segment?: number }): Masked {
  const { host, tenant, segment } = fields;
  if (host !== undefined) requireField('host', host, plan.hostBits);
  if (tenant !== undefined) requireField('tenant', tenant, plan.tenantBits);
  if (segment !== undefined) requireField('segment', segment, plan.segmentBits);
  const all = (width: number, given: number | undefined): bigint => (given === undefined ? 0n : ones(width));
  const suffix = familyBits(plan.family) - cidrLength(plan.cidr);
  const mask =
    (ones(cidrLength(plan.cidr)) << BigInt(suffix)) |
    place(plan, all(plan.hostBits, host), all(plan.tenantBits, tenant), all(plan.segmentBits, segment));
  const value = prefixBits(plan) | fieldBits(plan, host ?? 0, tenant ?? 0, segment ?? 0);
  return { mask: fromBits(plan.family, mask), value: fromBits(plan.family, value) };
}

/** The host ids whose ranges a reserved CIDR overlaps, as ranges sorted by `first`, apart from each other. */
export function hostsTakenBy(plan: Plan, reserved: readonly Cidr[]): readonly IdRange[] {
  const found: { first: number; last: number }[] = [];
  for (const cidr of reserved) {
    if (!overlaps(plan.cidr, cidr)) continue;
    const range = hostsInside(plan, cidr);
    if (range !== undefined) found.push(range);
  }
  found.sort((a, b) => a.first - b.first);
  const apart: { first: number; last: number }[] = [];
  for (const range of found) {
    const previous = apart.at(-1);
    if (previous === undefined || range.first > previous.last + 1) apart.push({ ...range });
    else previous.last = Math.max(previous.last, range.last);
  }
  return apart;
}

function hostsInside(plan: Plan, reserved: Cidr): { first: number; last: number } | undefined {
  const limit = maxHost(plan);
  const below = plan.tenantBits + plan.segmentBits + plan.endpointBits;
  if (cidrLength(reserved) <= cidrLength(plan.cidr)) return { first: 0, last: limit };
  const first = BigInt.asUintN(plan.hostBits, toBits(cidrBase(reserved)) >> BigInt(below));
  const spare = familyBits(familyOf(cidrBase(reserved))) - cidrLength(reserved) - below;
  const last = first + ones(Math.max(spare, 0));
  if (first > BigInt(limit)) return undefined;
  return { first: Number(first), last: last > BigInt(limit) ? limit : Number(last) };
}

function fieldMax(width: number): number {
  return Math.min(2 ** width - 1, FIELD_LIMIT);
}

function ones(width: number): bigint {
  return (1n << BigInt(width)) - 1n;
}

function prefixBits(plan: Plan): bigint {
  return toBits(cidrBase(plan.cidr));
}

function fieldBits(plan: Plan, host: number, tenant: number, segment: number): bigint {
  return place(plan, BigInt(host), BigInt(tenant), BigInt(segment));
}

function place(plan: Plan, host: bigint, tenant: bigint, segment: bigint): bigint {
  const segmentShift = BigInt(plan.endpointBits);
  const tenantShift = segmentShift + BigInt(plan.segmentBits);
  const hostShift = tenantShift + BigInt(plan.tenantBits);
  return (host << hostShift) | (tenant << tenantShift) | (segment << segmentShift);
}

function requireField(name: string, value: number, width: number): void {
  if (!Number.isInteger(value) || value < 0 || value > fieldMax(width)) {
    throw new RangeError(`${name} ${value} does not fit into ${width} bits`);
  }
}
