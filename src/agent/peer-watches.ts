import type { FileCopy } from '../kube/kept-copy.ts';
import type { Reflector } from '../kube/reflector.ts';
import type { Clock } from '../lib/clock.ts';
import type { Pod } from '../objects/pod.ts';
import type { PeerWatch } from '../plan/peers.ts';

/**
 * How long a watch stays after policy has asked for it last, in milliseconds: while a pod's sandbox is made anew its
 * policies ask for nothing, and what is forgotten while the API server is away can't be learnt again.
 */
export const LINGER_MS = 60_000;

/** What watches on peers are made of. */
export interface PeerWatchesOptions {
  /** Makes a reflector, which is not started, of the pods of a selection, and the copy that it keeps. */
  readonly make: (watch: PeerWatch) => { readonly pods: Reflector<Pod>; readonly copy: Pick<FileCopy, 'discard'> };
  /** Starts a reflector. */
  readonly begin: (pods: Reflector<Pod>, stop: AbortSignal) => void;
  readonly clock: Clock;
}

interface Open {
  readonly pods: Reflector<Pod>;
  readonly close: () => void;
  /** Takes back that it is to be closed; undefined while it is asked for. */
  keep: (() => void) | undefined;
}

/** The watches on pods that policies name as peers by more than segment and namespace: one a selection. */
export class PeerWatches {
  readonly #o: PeerWatchesOptions;
  readonly #open = new Map<string, Open>();

  constructor(options: PeerWatchesOptions) {
    this.#o = options;
  }

  /** Of all that are open. */
  get reflectors(): readonly Reflector<Pod>[] {
    return Array.from(this.#open.values(), ({ pods }) => pods);
  }

  /** Whether all pods that they are about have been listed once. */
  get synced(): boolean {
    return this.reflectors.every(({ synced }) => synced);
  }

  /** Opens what is asked for now, and closes after a while what is asked for no more. */
  update(wanted: readonly PeerWatch[]): void {
    const keys = new Set(wanted.map(keyOf));
    for (const [key, open] of this.#open) {
      if (!keys.has(key)) open.keep ??= this.#o.clock.after(LINGER_MS, open.close);
    }
    for (const watch of wanted) {
      const open = this.#open.get(keyOf(watch));
      if (open === undefined) this.#begin(watch);
      else {
        open.keep?.();
        open.keep = undefined;
      }
    }
  }

  /** Ends the waits; the watches end with the signal that they were begun with. */
  stop(): void {
    for (const { keep } of this.#open.values()) keep?.();
  }

  #begin(watch: PeerWatch): void {
    const stop = new AbortController();
    const { pods, copy } = this.#o.make(watch);
    const close = (): void => {
      stop.abort();
      copy.discard();
      this.#open.delete(keyOf(watch));
    };
    this.#open.set(keyOf(watch), { pods, close, keep: undefined });
    this.#o.begin(pods, stop.signal);
  }
}

function keyOf({ namespace, selector }: PeerWatch): string {
  return `${namespace}?${selector}`;
}
