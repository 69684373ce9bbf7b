import type { Change } from './store.ts';

/** Hands every committed change on to whoever watches its kind, in order. */
export class WatchHub {
  readonly #listeners = new Map<string, Set<(change: Change) => void>>();

  /** Calls `listener` for every later change to a kind, until the returned function is called. */
  subscribe(kind: string, listener: (change: Change) => void): () => void {
    const listeners = this.#listeners.get(kind) ?? new Set();
    this.#listeners.set(kind, listeners);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
    };
  }

  /** Tells one change. */
  publish(change: Change): void {
    for (const listener of this.#listeners.get(change.kind) ?? []) listener(change);
  }
}
