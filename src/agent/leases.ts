import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Address } from '../addr/address.ts';
import type { Log } from '../lib/log.ts';
import type { Lease } from '../plan/snapshot.ts';
import { UNFINISHED, writeFileAtomically } from './atomic-file.ts';
import { isHostInterfaceName } from './attachment-names.ts';
import { type LeaseState, addressesIn, leaseFileText, parseLeaseFile } from './lease-file.ts';

const SUFFIX = '.json';
/** What is put behind the name of a file that cannot be read, which is kept for people to look at. */
const DAMAGED = '.damaged';

/** What is not known of a lease that cannot be read. */
const UNKNOWN = {
  uid: '',
  namespace: '',
  pod: '',
  containerId: '',
  ifname: '',
  segment: null,
  hostMac: '',
  podMac: '',
} as const;

/** A lease as the store keeps it. */
export interface StoredLease {
  readonly lease: Lease;
  readonly state: LeaseState;
}

/** A lease's file that cannot be read. Its addresses, as far as they can be made out, stay taken. */
export interface DamagedLease {
  /** Path of the file that was kept. */
  readonly path: string;
  /** From the file's name; undefined when that is none of ours. */
  readonly hostInterface: string | undefined;
  readonly addresses: readonly Address[];
  readonly reason: string;
  /** As much of the lease as is known, which is enough to take it away; undefined without the interface. */
  readonly lease: Lease | undefined;
}

/**
 * The attachments of this host, on file: one JSON file each, in a folder that does not outlive a reboot, as pods do
 * not. A killed agent forgets none. The key is the host's interface name, which is made of container and ifname.
 */
export class LeaseStore {
  readonly #directory: string;
  readonly #log: Log;
  readonly #stored = new Map<string, StoredLease>();
  readonly #damaged = new Map<string, DamagedLease>();

  /** Makes the folder (mode 0700) and reads what is in it; a file that cannot be read is reported and kept aside. */
  constructor(directory: string, log: Log) {
    this.#directory = directory;
    this.#log = log;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(directory).sort()) this.#load(name);
  }

  /** The leases whose pods are, or are becoming, part of the network: those that plans are made of. */
  list(): readonly Lease[] {
    return this.withState('adding', 'active');
  }

  /** The leases in one of `states`. */
  withState(...states: readonly LeaseState[]): readonly Lease[] {
    return [...this.#stored.values()].filter(({ state }) => states.includes(state)).map(({ lease }) => lease);
  }

  /** The lease behind `hostInterface`. */
  get(hostInterface: string): StoredLease | undefined {
    return this.#stored.get(hostInterface);
  }

  /** The files that could not be read and still hold addresses. */
  damaged(): readonly DamagedLease[] {
    return [...this.#damaged.values()];
  }

  /** Every address that must not be given to another pod, those of damaged files included. */
  addresses(): readonly Address[] {
    const leases = [...this.#stored.values()].map(({ lease }) => lease);
    return [...leases, ...this.#damaged.values()].flatMap(({ addresses }) => addresses);
  }

  /**
   * Puts `lease` on file, in place of the one behind the same interface. 'leaving' counts even when it cannot be
   * written: what leaves must not come back because a disk is full.
   *
   * @throws Error when the file system refuses; then a new lease is not kept.
   */
  put(lease: Lease, state: LeaseState): void {
    if (state === 'leaving') this.#stored.set(lease.hostInterface, { lease, state });
    try {
      writeFileAtomically(this.#path(lease.hostInterface), leaseFileText(lease, state), 0o600);
    } catch (cause) {
      throw new Error(`could not write the lease of ${lease.namespace}/${lease.pod}`, { cause });
    }
    this.#stored.set(lease.hostInterface, { lease, state });
  }

  /** Forgets what is behind `hostInterface`, a damaged file included; nothing happens when there is nothing. */
  remove(hostInterface: string): void {
    rmSync(this.#path(hostInterface), { force: true });
    this.#stored.delete(hostInterface);
    const damaged = this.#damaged.get(hostInterface);
    if (damaged !== undefined) rmSync(damaged.path, { force: true });
    this.#damaged.delete(hostInterface);
  }

  #path(hostInterface: string): string {
    return join(this.#directory, hostInterface + SUFFIX);
  }

  #load(name: string): void {
    const path = join(this.#directory, name);
    if (name.endsWith(UNFINISHED)) {
      rmSync(path, { force: true }); // nobody was told of it
      return;
    }
    if (!name.endsWith(SUFFIX) && !name.endsWith(SUFFIX + DAMAGED)) return;
    const key = name.slice(0, name.indexOf(SUFFIX));
    let text = '';
    let reason: string | undefined;
    try {
      text = readFileSync(path, 'utf8');
    } catch (error) {
      reason = error instanceof Error ? error.message : 'cannot be read';
    }
    const parsed = parseLeaseFile(text);
    if (name.endsWith(SUFFIX) && parsed.ok && parsed.value.lease.hostInterface === key) {
      this.#stored.set(key, parsed.value);
      return;
    }
    reason ??= parsed.ok ? 'its name is not that of its interface' : parsed.error;
    const kept = name.endsWith(DAMAGED) ? path : path + DAMAGED;
    if (kept !== path) renameSync(path, kept);
    const hostInterface = isHostInterfaceName(key) ? key : undefined;
    const damaged = { path: kept, hostInterface, addresses: addressesIn(text), reason };
    const lease = hostInterface === undefined ? undefined : { ...UNKNOWN, hostInterface, addresses: damaged.addresses };
    this.#damaged.set(key, { ...damaged, lease });
    this.#log.error(damaged, 'could not read the file of a lease; it is kept aside and its addresses stay taken');
  }
}
