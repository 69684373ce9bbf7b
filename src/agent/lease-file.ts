import { type Address, parseAddress } from '../addr/address.ts';
import { type Result, err, ok } from '../lib/result.ts';
import type { Lease, Origin } from '../plan/snapshot.ts';
import { isHostInterfaceName } from './attachment-names.ts';

/**
 * How far an attachment is. 'adding': being made, no runtime was told of it; 'active': the answer of ADD is on its
 * way or was given; 'leaving': DEL came, or ADD failed: its addresses are not free until its link is gone.
 */
export type LeaseState = 'adding' | 'active' | 'leaving';

/** The format's version; a file of a later one is one that we cannot read. */
const FORMAT = 1;

const STATES: ReadonlySet<unknown> = new Set(['adding', 'active', 'leaving']);
const TEXTS = ['uid', 'containerId', 'ifname', 'hostInterface', 'namespace', 'pod', 'hostMac', 'podMac'] as const;

/** The text of a lease's file: JSON, one line. */
export function leaseFileText(lease: Lease, state: LeaseState): string {
  return `${JSON.stringify({ version: FORMAT, state, lease })}\n`;
}

/** Reads what `leaseFileText` wrote, or says what is wrong with it. */
export function parseLeaseFile(text: string): Result<{ readonly lease: Lease; readonly state: LeaseState }> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return err(error instanceof Error ? error.message : 'no JSON');
  }
  if (!isObject(json)) return err('no JSON object');
  const { version, state, lease } = json;
  if (version !== FORMAT) return err(`version is not ${FORMAT}`);
  if (!isState(state)) return err('state is not one of adding, active, leaving');
  if (!isObject(lease)) return err('lease is no object');
  for (const name of TEXTS) if (typeof lease[name] !== 'string') return err(`lease.${name} is no text`);
  if (lease['segment'] !== null && typeof lease['segment'] !== 'string') return err('lease.segment is no text or null');
  if (!isHostInterfaceName(String(lease['hostInterface']))) return err('lease.hostInterface is none of our names');
  if (lease['origin'] !== undefined && !isOrigin(lease['origin'])) return err('lease.origin is not how an ADD comes');
  const addresses: Address[] = [];
  for (const item of Array.isArray(lease['addresses']) ? (lease['addresses'] as readonly unknown[]) : []) {
    const address = parseAddress(typeof item === 'string' ? item : '');
    if (!address.ok) return err(`lease.addresses: ${address.error}`);
    addresses.push(address.value);
  }
  if (addresses.length === 0) return err('lease.addresses is no list of addresses');
  return ok({ state, lease: { ...(lease as unknown as Lease), addresses } });
}

/** Every address that stands between quotes in `text`: what a lease that cannot be read may still hold. */
export function addressesIn(text: string): readonly Address[] {
  const found = new Set<Address>();
  for (const [, quoted] of text.matchAll(/"([0-9a-f.:]{2,39})"/gi)) {
    const address = parseAddress(quoted ?? '');
    if (address.ok) found.add(address.value);
  }
  return [...found];
}

function isState(value: unknown): value is LeaseState {
  return STATES.has(value);
}

function isOrigin(value: unknown): value is Origin {
  if (!isObject(value) || !Number.isFinite(value['since'])) return false;
  return ['network', 'netns', 'netnsId'].every((name) => typeof value[name] === 'string');
}

function isObject(json: unknown): json is Readonly<Record<string, unknown>> {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}
