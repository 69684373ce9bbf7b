import type { Address } from '../addr/address.ts';
import type { Rtnl } from '../kernel/rtnl.ts';
import type { Sysctls } from '../kernel/sysctl.ts';
import type { Log } from '../lib/log.ts';
import type { DesiredRoute } from '../plan/routes.ts';
import { HostRoutes } from './host-routes.ts';
import type { AgentMetrics } from './metrics.ts';
import { enableForwarding, findUnderlay, type Underlay } from './underlay.ts';

/** What a host network stands on. */
export interface HostNetworkOptions {
  readonly rtnl: Rtnl;
  readonly sysctls: Sysctls;
  readonly metrics: Pick<AgentMetrics, 'routeChanges' | 'repairs'>;
  readonly log: Log;
}

/**
 * What the host's own network has to have for pods: forwarding, and routes. It is looked at when the node's addresses
 * change and when somebody may have changed it.
 */
export class HostNetwork {
  readonly #options: HostNetworkOptions;
  readonly #routes: HostRoutes;
  #underlay: Underlay = { names: [], mtu: 0 };
  /** The node's addresses that the underlay was looked for by; undefined when it is to be looked for again. */
  #underlayOf: string | undefined;
  #seen = false;

  constructor(options: HostNetworkOptions) {
    this.#options = options;
    const { rtnl, metrics, log } = options;
    this.#routes = new HostRoutes({
      rtnl,
      log,
      onChange: () => metrics.routeChanges.inc(),
      onRepair: (what, count) => metrics.repairs.inc({ what }, count),
    });
  }

  /** The interfaces that hold the node's addresses, as they were seen last. */
  get underlay(): Underlay {
    return this.#underlay;
  }

  /** Somebody may have changed it: it is read again at the next opportunity. */
  recheck(): void {
    this.#underlayOf = undefined;
    this.#routes.recheck();
  }

  /** Finds the interfaces of the node's addresses, and lets the host forward between them and pods. */
  follow(addresses: readonly Address[]): Underlay {
    const key = addresses.join(' ');
    if (key === this.#underlayOf) return this.#underlay;
    this.#underlay = findUnderlay(this.#options.rtnl, addresses);
    const changed = enableForwarding(this.#underlay, this.#options.sysctls);
    if (changed.length > 0 && this.#seen) {
      this.#options.log.warn({ sysctls: changed }, 'switches forwarding on again, which was switched off');
      this.#options.metrics.repairs.inc({ what: 'forwarding' }, changed.length);
    }
    this.#underlayOf = key;
    this.#seen = true;
    return this.#underlay;
  }

  /** Brings the routes to what is desired. @returns what the kernel refused */
  apply(routes: readonly DesiredRoute[]): readonly unknown[] {
    return this.#routes.apply(routes);
  }
}
