import { isNotFound, type KubeClient } from '../kube/client.ts';
import { Backoff } from '../lib/backoff.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Host } from '../objects/host.ts';
import { claimName, ID_CLAIMS, parseIdClaim } from '../objects/id-claim.ts';
import type { KeptWord } from './known.ts';

/** Between two questions, in milliseconds. */
const RETRY = { initialMs: 50, maxMs: 1_000 };

/** What an own claim stands on. */
export interface OwnClaimOptions {
  readonly client: Pick<KubeClient, 'get'>;
  /** The node's name. */
  readonly node: string;
  /** Called when a Host's id has turned out to be this node's. */
  readonly onConfirmed: () => void;
  /** What was confirmed before this start, which holds while the API server does not answer. */
  readonly kept: KeptWord;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Asks the API server whether the id of this node's Host is claimed by its name, once for each Host object: a
 * controller that was paused may write a Host whose id has gone to another node since (docs/adr/0002-ids.md), and two
 * agents with one range would be two owners of each address.
 */
export class OwnClaim {
  readonly #options: OwnClaimOptions;
  #confirmed = '';
  #asking: { readonly key: string; readonly stop: AbortController } | undefined;

  constructor(options: OwnClaimOptions) {
    this.#options = options;
  }

  /** Whether the id of `host` is this node's, as far as is known. */
  confirms(host: Host): boolean {
    return this.#confirmed === keyOf(host);
  }

  /** Takes the present Host, about which is asked until the answer is yes, another comes, or `signal` ends it. */
  follow(host: Host | undefined, signal: AbortSignal): void {
    const key = host === undefined ? '' : keyOf(host);
    if (key !== this.#confirmed) this.#confirmed = '';
    if (key === (this.#asking?.key ?? this.#confirmed)) return;
    this.#asking?.stop.abort();
    this.#asking = undefined;
    if (host === undefined) return;
    const stop = new AbortController();
    this.#asking = { key, stop };
    void this.#ask(host, AbortSignal.any([stop.signal, signal]));
  }

  async #ask({ id, meta }: Host, signal: AbortSignal): Promise<void> {
    const { client, node, kept, clock, log, onConfirmed } = this.#options;
    const key = keyOf({ id, meta });
    const known = (error: unknown): string | undefined =>
      !isNotFound(error) && kept.recall() === key ? node : undefined;
    const backoff = new Backoff(RETRY);
    for (let refusals = 0; !signal.aborted; refusals += 1) {
      const holder = await client.get(ID_CLAIMS, claimName('Host', id)).then(holderOf, known);
      if (signal.aborted) return;
      if (holder === node) {
        this.#asking = undefined;
        this.#confirmed = key;
        kept.keep(key);
        onConfirmed();
        return;
      }
      if (refusals === 0) log.warn({ id, holder }, 'waits until the id of this Host is claimed by its node');
      await clock.sleep(backoff.next(), signal).catch(() => undefined);
    }
  }
}

function keyOf({ meta, id }: Pick<Host, 'meta' | 'id'>): string {
  return `${meta.uid}/${id}`;
}

function holderOf(json: unknown): string | undefined {
  const claim = parseIdClaim(json);
  return claim.ok && !claim.value.released ? claim.value.holder.name : undefined;
}
