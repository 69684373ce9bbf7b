/**
 * Lists by key that change together: a list of which nothing differs stays the same object, so that what was worked out
 * of it can be told by it. A value is in a list once.
 */
export class KeyedLists<V> {
  readonly #lists = new Map<string, readonly V[]>();
  readonly #edits = new Map<string, { readonly gone: Set<V>; readonly come: V[] }>();

  /** By key; no list is empty. */
  get lists(): ReadonlyMap<string, readonly V[]> {
    return this.#lists;
  }

  /** Takes a value out with the next `commit`. */
  remove(key: string, value: V): void {
    this.#editOf(key).gone.add(value);
  }

  /** Puts a value in with the next `commit`. */
  add(key: string, value: V): void {
    this.#editOf(key).come.push(value);
  }

  /** Does what was asked for since the last time. */
  commit(): void {
    for (const [key, { gone, come }] of this.#edits) {
      const before = this.#lists.get(key) ?? [];
      const list = (gone.size === 0 ? before : before.filter((value) => !gone.has(value))).concat(come);
      if (list.length === 0) this.#lists.delete(key);
      else this.#lists.set(key, list);
    }
    this.#edits.clear();
  }

  #editOf(key: string): { readonly gone: Set<V>; readonly come: V[] } {
    const before = this.#edits.get(key);
    if (before !== undefined) return before;
    const edit = { gone: new Set<V>(), come: [] };
    this.#edits.set(key, edit);
    return edit;
  }
}
