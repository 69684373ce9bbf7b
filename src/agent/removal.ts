import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PLUGIN_TYPE } from '../cni/chain.ts';
import { CONFLIST_FILE } from '../cni/conflist.ts';
import { LibNft } from '../kernel/libnftables.ts';
import { LinkRemover } from '../kernel/link-remover.ts';
import { deleteRoute, ROMANA_PROTOCOL } from '../kernel/routes.ts';
import { Rtnl } from '../kernel/rtnl.ts';
import type { Clock } from '../lib/clock.ts';
import { type HealthOptions, startHealthServer } from '../lib/health-server.ts';
import type { Log } from '../lib/log.ts';
import { TABLE } from '../plan/ruleset-builder.ts';
import { type CniCall, CniHandler } from './cni-handler.ts';
import type { CniInstallation } from './cni-install.ts';
import { CniServer } from './cni-server.ts';
import { EndingNetwork } from './ending-network.ts';
import { LeaseStore } from './leases.ts';
import type { RememberedSysctls } from './remembered-sysctls.ts';
import { isOurs } from './sweep-links.ts';

/** What a removal needs. It works in the network namespace that it runs in. */
export interface RemovalOptions {
  /** /run/romana: all that the agent has on file. */
  readonly directory: string;
  /** Of the CNI server's unix socket, in that folder. */
  readonly socket: string;
  /** Folder of the leases, likewise. */
  readonly leases: string;
  readonly installation: Pick<CniInstallation, 'pluginDirectory' | 'configurationDirectory'>;
  readonly sysctls: Pick<RememberedSysctls, 'restore'>;
  /** After so long the network goes although pods have not left it, in milliseconds; undefined: never. */
  readonly forceAfterMs: number | undefined;
  /** Where it shows whether it is done: `/readyz`. */
  readonly health: Pick<HealthOptions, 'port' | 'host'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Between two looks at who is connected still, in milliseconds. */
const LOOK_MS = 250;
/** A refused ADD is followed by its DEL: the plugin stays until none has come for so long, in milliseconds... */
const QUIET_MS = 1_000;
/** ...or until so long after the last pod: those that can't start are tried again and again. In milliseconds. */
const MAX_QUIET_WAIT_MS = 10_000;
/** So many pods are named. */
const MAX_NAMED = 5;

/**
 * Removes what agents have made on this host: waits until no pod is connected, answering the runtime's DELs meanwhile
 * and refusing new pods; then takes away configuration, plugin, rules, links, routes and files, and puts sysctls back.
 * Is ready when all is gone, and then waits for the signal, so that whoever started it can see that.
 */
export async function removeNetwork(options: RemovalOptions): Promise<void> {
  const { health: address, log, clock, signal } = options;
  let waiting: string | undefined = 'is starting';
  const health = await startHealthServer({
    ...address,
    metrics: async () => '',
    notReady: () => waiting,
  });
  const removal = new Removal(options);
  try {
    await removal.serve();
    await removal.untilEmpty((why) => (waiting = why));
    await removal.remove();
    waiting = undefined;
    log.info({}, 'nothing of Romana is left on this host');
    await clock.sleep(2 ** 31 - 1, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await removal.close();
    await health.close();
  }
}

class Removal {
  readonly #o: RemovalOptions;
  readonly #rtnl = Rtnl.open();
  readonly #remover = LinkRemover.open();
  readonly #leases: LeaseStore;
  readonly #network: EndingNetwork;
  readonly #server: CniServer;
  /** When the runtime last called about a pod. */
  #calledAt = -Infinity;

  constructor(options: RemovalOptions) {
    this.#o = options;
    const { clock, log, socket: path } = options;
    this.#leases = new LeaseStore(options.leases, log);
    const remove = (name: string): Promise<void> => this.#remover.remove(name);
    this.#network = new EndingNetwork({ leases: this.#leases, remove });
    const network = this.#network;
    const onCall = ({ command }: CniCall): void => {
      if (command === 'ADD' || command === 'DEL') this.#calledAt = clock.now();
    };
    const handler = new CniHandler({ network, status: () => network.refusal, onCall, clock, log });
    this.#server = new CniServer({ path, handle: (bytes, signal) => handler.handle(bytes, signal), clock, log });
  }

  /** Answers the runtime in the agent's place, as soon as that one has ended. */
  async serve(): Promise<void> {
    const { clock, log, signal } = this.#o;
    for (;;) {
      try {
        await this.#server.listen();
        return await this.#finishLeaving();
      } catch (error) {
        log.warn({ err: error }, 'could not take the place of the agent; tries again');
        await clock.sleep(1_000, signal);
      }
    }
  }

  /** What was on its way out when the agent ended has had its DEL. */
  async #finishLeaving(): Promise<void> {
    for (const { hostInterface } of this.#leases.withState('leaving')) {
      await this.#remover.remove(hostInterface);
      this.#leases.remove(hostInterface);
    }
  }

  /** Waits until no pod is connected, or it has taken too long. */
  async untilEmpty(tell: (why: string) => void): Promise<void> {
    const { clock, log, signal, forceAfterMs = Infinity } = this.#o;
    const end = clock.now() + forceAfterMs;
    for (let told = ''; ;) {
      const pods = this.#connected();
      if (pods.length === 0) return this.#untilQuiet();
      const why = `waits for ${pods.length} ${pods.length === 1 ? 'pod' : 'pods'} to end: ${pods.slice(0, MAX_NAMED).join(', ')}`;
      if (why !== told) log.info({}, why);
      tell(why);
      told = why;
      if (clock.now() >= end) {
        log.warn({ pods: pods.length }, 'takes the network away from pods that have not ended');
        return;
      }
      await clock.sleep(LOOK_MS, signal);
    }
  }

  async #untilQuiet(): Promise<void> {
    const { clock, signal } = this.#o;
    const end = clock.now() + MAX_QUIET_WAIT_MS;
    while (clock.now() < Math.min(this.#calledAt + QUIET_MS, end)) await clock.sleep(LOOK_MS, signal);
  }

  /** Takes everything away; what is gone already is no failure. The runtime's configuration first, its plugin last. */
  async remove(): Promise<void> {
    const { installation, directory, sysctls, log } = this.#o;
    rmSync(join(installation.configurationDirectory, CONFLIST_FILE), { force: true });
    await this.#server.close();
    const nft = new LibNft();
    // The kernel knows no deletion that tolerates that there is nothing; to add what is there changes nothing.
    nft.run(`add table inet ${TABLE}\ndelete table inet ${TABLE}\n`);
    nft.close();
    const links = this.#rtnl.links().filter(isOurs);
    await Promise.all(links.map(({ name }) => this.#remover.remove(name)));
    const routes = this.#rtnl.routes({ protocol: ROMANA_PROTOCOL });
    for (const route of routes) this.#rtnl.apply(deleteRoute(route));
    const restored = sysctls.restore();
    for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true, force: true });
    rmSync(join(installation.pluginDirectory, PLUGIN_TYPE), { force: true });
    log.info({ links: links.length, routes: routes.length, restored }, 'removed the network from this host');
  }

  async close(): Promise<void> {
    await this.#server.close();
    await this.#remover.close();
    this.#rtnl.close();
  }

  /** The pods whose links are there. One whose link went with its namespace has no DEL to come. */
  #connected(): readonly string[] {
    const links = new Set(this.#rtnl.links().map(({ name }) => name));
    return this.#network.attached
      .filter(({ hostInterface }) => links.has(hostInterface))
      .map(({ namespace, pod, hostInterface }) => (pod === '' ? `the one of ${hostInterface}` : `${namespace}/${pod}`))
      .sort();
  }
}
