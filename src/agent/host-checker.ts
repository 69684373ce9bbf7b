import { readdirSync } from 'node:fs';
import { familyOf } from '../addr/address.ts';
import type { Plan } from '../addr/plan.ts';
import { forwardChains } from '../kernel/base-chains.ts';
import type { Rtnl } from '../kernel/rtnl.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Condition } from '../objects/host-report.ts';
import type { Host } from '../objects/host.ts';
import { hostConditions, type HostFacts } from './host-checks.ts';

/** Between two looks, in milliseconds: each costs a millisecond or so. */
const EVERY_MS = 10_000;

/** What has to be known of the cluster. */
interface Cluster {
  /** The name of this host's Node. */
  readonly node: string;
  readonly hosts: Iterable<Host>;
  readonly plans: readonly Plan[];
}

/** What a host checker looks at, and whom it tells. */
export interface HostCheckerOptions {
  readonly rtnl: Pick<Rtnl, 'ways'>;
  readonly cluster: () => Cluster;
  /** The folder in which container runtimes look for the network. */
  readonly configurationDirectory: string;
  /** Called when the conditions differ from those before. */
  readonly onChange: () => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** Looks again and again for what blocks pods on this host, although all that is ours is in place. */
export class HostChecker {
  readonly #options: HostCheckerOptions;
  #conditions: readonly Condition[] = [];

  constructor(options: HostCheckerOptions) {
    this.#options = options;
  }

  /** What was found last; none before the first look. */
  get conditions(): readonly Condition[] {
    return this.#conditions;
  }

  /** Runs until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    while (!signal.aborted) {
      try {
        this.#look();
      } catch (error) {
        log.warn({ err: error }, 'could not look for what blocks pods on this host; tries again');
      }
      await clock.sleep(EVERY_MS, signal).catch(() => undefined);
    }
  }

  #look(): void {
    const { onChange, clock } = this.#options;
    const before = this.#conditions;
    this.#conditions = hostConditions(this.#facts(), before, new Date(clock.now()).toISOString());
    if (JSON.stringify(before) === JSON.stringify(this.#conditions)) return;
    this.#log(before);
    onChange();
  }

  #log(before: readonly Condition[]): void {
    for (const { type, status, reason, message } of this.#conditions) {
      const known = before.find((condition) => condition.type === type);
      if (known?.message === message || (known === undefined && status === 'True')) continue;
      this.#options.log[status === 'True' ? 'info' : 'warn']({ type, reason }, message);
    }
  }

  #facts(): HostFacts {
    const { rtnl, cluster, configurationDirectory: directory } = this.#options;
    const { node, hosts, plans } = cluster();
    const families = plans.map(({ family }) => family);
    // A host without an address of a family is for the plan to say, which has a route to make by it.
    const others = [...hosts]
      .filter(({ meta }) => meta.name !== node)
      .flatMap(({ meta, addresses }) =>
        families.flatMap((family) => {
          const address = addresses.find((each) => familyOf(each) === family);
          return address === undefined ? [] : [{ host: meta.name, address }];
        }),
      )
      .toSorted((a, b) => (a.host < b.host ? -1 : 1));
    const ways = rtnl.ways(others.map(({ address }) => address));
    return {
      chains: forwardChains(),
      hosts: others.map(({ host, address }, index) => ({ host, address, way: ways[index] ?? 'none' })),
      configuration: { directory, files: filesOf(directory) },
      prefixes: plans.map(({ cidr }) => cidr),
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
