import type { Address } from '../addr/address.ts';
import { NetworkMonitor } from '../kernel/network-monitor.ts';
import { type Intruder, TableMonitor } from '../kernel/table-monitor.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';

/** What self-repair stands on. */
export interface SelfRepairOptions {
  /** Our table of family inet. */
  readonly table: string;
  /** Whether an address is of a pod here. */
  readonly isPod: (address: Address) => boolean;
  /** Others have changed our table (`by` is a process's name), or may have (undefined). */
  readonly onTable: (by: string | undefined) => void;
  /** Others may have changed links, routes, neighbours or forwarding: look, and put back what is missing. */
  readonly onNetwork: () => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** How long the first change of the network waits for those that come with it, in milliseconds. */
const GATHER_MS = 20;
/** Between two looks at the network, in milliseconds: each costs some. */
const LOOK_EVERY_MS = 250;
/** For what the kernel tells nobody, in milliseconds. */
const LOOK_ANYWAY_MS = 60_000;

/**
 * Hears when others change in the kernel what this agent keeps there. Our nftables table is put back at once; the
 * network is looked at after all changes of one moment (a restart of networkd is many), and once a minute anyway.
 */
export class SelfRepair {
  readonly #options: SelfRepairOptions;
  readonly #table: TableMonitor;
  readonly #network: NetworkMonitor;
  #looked = -Infinity;
  #cancel: () => void;
  #looksSoon = false;

  /** Listens from now on, in this thread's network namespace. @throws KernelError */
  constructor(options: SelfRepairOptions) {
    this.#options = options;
    const { table, isPod } = options;
    this.#table = new TableMonitor({ table, onChanged: (by) => this.#tableChanged(by) });
    this.#network = new NetworkMonitor({ isPod, onChanged: () => this.#networkChanged() });
    this.#cancel = options.clock.after(LOOK_ANYWAY_MS, () => this.#look());
  }

  close(): void {
    this.#cancel();
    this.#table.close();
    this.#network.close();
  }

  #tableChanged(by: Intruder | undefined): void {
    const { table, log, onTable } = this.#options;
    if (by === undefined) log.warn({ table }, 'more changed in nftables than could be heard; puts our table whole');
    else log.warn({ table, process: by.name, pid: by.pid }, 'our table was changed by another process; puts it back');
    onTable(by === undefined ? undefined : by.name || 'an unknown process');
  }

  #networkChanged(): void {
    if (this.#looksSoon) return;
    this.#looksSoon = true;
    this.#cancel();
    const { clock } = this.#options;
    const wait = Math.max(GATHER_MS, this.#looked + LOOK_EVERY_MS - clock.now());
    this.#cancel = clock.after(Math.min(wait, LOOK_EVERY_MS), () => this.#look());
  }

  #look(): void {
    const { clock, onNetwork } = this.#options;
    this.#looksSoon = false;
    this.#looked = clock.now();
    this.#cancel = clock.after(LOOK_ANYWAY_MS, () => this.#look());
    onNetwork();
  }
}
