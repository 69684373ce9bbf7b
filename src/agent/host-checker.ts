import { readdirSync } from 'node:fs';
import { familyOf } from '../addr/address.ts';
import { cidrFamily } from '../addr/cidr.ts';
import { forwardChains } from '../kernel/base-chains.ts';
import type { Rtnl } from '../kernel/rtnl.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Condition } from '../objects/host-report.ts';
import type { Snapshot } from '../plan/snapshot.ts';
import { hostConditions, type HostFacts } from './host-checks.ts';

/** Between two looks, in milliseconds: each costs a millisecond or so. */
const EVERY_MS = 10_000;

/** What a host checker looks at, and whom it tells. */
export interface HostCheckerOptions {
  readonly rtnl: Pick<Rtnl, 'ways'>;
  /** What is known of the cluster; undefined while that is not enough. */
  readonly snapshot: () => Pick<Snapshot, 'hosts' | 'node' | 'network'> | undefined;
  /** The folder in which container runtimes look for the network. */
  readonly configurationDirectory: string;
  /** Called when the conditions differ from those told last. */
  readonly onChange: (conditions: readonly Condition[]) => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** Looks again and again for what blocks pods on this host, although all that is ours is in place. */
export class HostChecker {
  readonly #options: HostCheckerOptions;
  #told: readonly Condition[] = [];

  constructor(options: HostCheckerOptions) {
    this.#options = options;
  }

  /** Runs until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    while (!signal.aborted) {
      try {
        this.look();
      } catch (error) {
        log.warn({ err: error }, 'could not look for what blocks pods on this host; tries again');
      }
      await clock.sleep(EVERY_MS, signal).catch(() => undefined);
    }
  }

  /** Looks once. */
  look(): void {
    const { snapshot, onChange, clock, log } = this.#options;
    const known = snapshot();
    if (known === undefined) return;
    const now = new Date(clock.now()).toISOString();
    const conditions = hostConditions(this.#facts(known), this.#told, now);
    if (JSON.stringify(conditions) === JSON.stringify(this.#told)) return;
    for (const { type, status, reason, message } of conditions) {
      const before = this.#told.find((condition) => condition.type === type);
      if (before?.message === message || (before === undefined && status === 'True')) continue;
      if (status === 'True') log.info({ type, reason }, message);
      else log.warn({ type, reason }, message);
    }
    this.#told = conditions;
    onChange(conditions);
  }

  #facts({ hosts, node, network }: Pick<Snapshot, 'hosts' | 'node' | 'network'>): HostFacts {
    const { rtnl, configurationDirectory: directory } = this.#options;
    const families = new Set(network.plans.map(({ cidr }) => cidrFamily(cidr)));
    // A host without an address of a family is for the plan to say, which has a route to make by it.
    const others = [...hosts.values()]
      .filter(({ meta }) => meta.name !== node)
      .flatMap(({ meta, addresses }) =>
        [...families].flatMap((family) => {
          const address = addresses.find((each) => familyOf(each) === family);
          return address === undefined ? [] : [{ host: meta.name, address }];
        }),
      )
      .toSorted((a, b) => a.host.localeCompare(b.host));
    const ways = rtnl.ways(others.map(({ address }) => address));
    return {
      chains: forwardChains(),
      hosts: others.map(({ host, address }, index) => ({ host, address, way: ways[index] ?? 'none' })),
      configuration: { directory, files: filesOf(directory) },
      prefixes: network.plans.map(({ cidr }) => cidr),
    };
  }
}

function filesOf(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // which is told as what it is: no configuration is there
  }
}
