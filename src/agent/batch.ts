/**
 * Does at one go what was asked for in the same turn of the event loop, for work that costs as much for one as for
 * many. Each caller hears the outcome of the whole.
 */
export class Batch<T> {
  readonly #run: (items: readonly T[]) => void | Promise<void>;
  #next: { readonly items: T[]; readonly done: Promise<void> } | undefined;

  constructor(run: (items: readonly T[]) => void | Promise<void>) {
    this.#run = run;
  }

  /** Adds `item` to the next run; settles with that run. */
  async add(item: T): Promise<void> {
    this.#next ??= this.#begin();
    this.#next.items.push(item);
    await this.#next.done;
  }

  #begin(): { readonly items: T[]; readonly done: Promise<void> } {
    const items: T[] = [];
    const turn = Promise.withResolvers<void>();
    setImmediate(turn.resolve);
    const done = turn.promise.then(() => {
      this.#next = undefined;
      return this.#run(items);
    });
    return { items, done };
  }
}
