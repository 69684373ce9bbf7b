/** 32 bits of FNV-1a over the text's UTF-16 code units, as 8 hex digits. Not against malice: see NamePool. */
export function hashText(text: string): string {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  return (hash >>> 0).toString(16).padStart(8, '0');
}

/**
 * Short names for long keys: the same key has the same name from one plan to the next, and two keys never share one,
 * also not keys that somebody chose so that their hashes collide (the names of policies are their owners' to choose).
 */
export class NamePool {
  readonly #keyOf = new Map<string, string>();

  /** `PREFIX-HASH`, or `PREFIX-HASH-2` where another key holds that. */
  name(prefix: string, key: string): string {
    const base = `${prefix}-${hashText(key)}`;
    for (let count = 1; ; count++) {
      const name = count === 1 ? base : `${base}-${count}`;
      const holder = this.#keyOf.get(name);
      if (holder === undefined) this.#keyOf.set(name, key);
      if (holder === undefined || holder === key) return name;
    }
  }

  /** Whether `name`, which was given to `key` before, can stand for it here. */
  mayBe(name: string, key: string): boolean {
    const holder = this.#keyOf.get(name);
    return holder === undefined || holder === key;
  }

  /** Gives `name` to `key`. */
  hold(name: string, key: string): void {
    this.#keyOf.set(name, key);
  }
}
