/** Milliseconds a released endpoint rests before it is given out again, as long as others are free. */
export const ENDPOINT_REST_MS = 180_000;

/** Released endpoints remembered in order; beyond that the longest released goes before the never used. */
const MAX_REMEMBERED = 65_536;

/**
 * Gives out the endpoint numbers of one (host, tenant, segment), or of a host's shared pool. Never used ones come
 * first, then the longest released one. Pure: time is handed in. Memory grows by the numbers that are or were in use,
 * not by the size of the range.
 */
export class EndpointAllocator {
  readonly #first: number;
  readonly #last: number;
  readonly #held = new Set<number>();
  /** Released number -> when, in milliseconds; the longest released is the first key. */
  readonly #released = new Map<number, number>();
  /** Where the search for a never used number goes on. */
  #cursor: number;

  /** `first` to `last`, both included; an empty range is one that is always full. */
  constructor(range: { first: number; last: number }) {
    this.#first = range.first;
    this.#last = range.last;
    this.#cursor = range.first;
  }

  /** How many numbers are held. */
  get held(): number {
    return this.#held.size;
  }

  /** How many numbers could be taken, the resting ones included. */
  get free(): number {
    return Math.max(this.#last - this.#first + 1, 0) - this.#held.size;
  }

  /**
   * A number that nobody holds, or undefined when there is none. `now` is in milliseconds. With 'rested', one that
   * rests is no choice: for a caller that has another range to turn to first.
   */
  take(now: number, choice: 'any' | 'rested' = 'any'): number | undefined {
    const [oldest] = this.#released;
    const rested = oldest !== undefined && now - oldest[1] >= ENDPOINT_REST_MS;
    if (rested && this.#released.size >= MAX_REMEMBERED) return this.#hold(oldest[0]);
    const fresh = this.#neverUsed();
    if (fresh !== undefined) return this.#hold(fresh);
    if (oldest === undefined || (choice === 'rested' && !rested)) return undefined;
    return this.#hold(oldest[0]);
  }

  /**
   * Gives `endpoint` back. Called with one that is not held it records that it was in use until `now`: so releases
   * are restored after a restart, in the order in which they happened.
   */
  release(endpoint: number, now: number): void {
    if (!this.#inRange(endpoint)) return;
    this.#held.delete(endpoint);
    this.#released.delete(endpoint); // so that it goes to the end of the order
    this.#released.set(endpoint, now);
  }

  /** Marks `endpoint` as held, as restored from disk; false when it is held already or not of this range. */
  reserve(endpoint: number): boolean {
    if (!this.#inRange(endpoint) || this.#held.has(endpoint)) return false;
    this.#hold(endpoint);
    return true;
  }

  #hold(endpoint: number): number {
    this.#released.delete(endpoint);
    this.#held.add(endpoint);
    // Going on behind it keeps numbers whose release a restart forgot at rest for one more turn of the range.
    if (endpoint >= this.#cursor) this.#cursor = endpoint + 1;
    return endpoint;
  }

  #neverUsed(): number | undefined {
    if (this.#held.size + this.#released.size > this.#last - this.#first) return undefined;
    for (;;) {
      if (this.#cursor > this.#last) this.#cursor = this.#first;
      if (!this.#held.has(this.#cursor) && !this.#released.has(this.#cursor)) return this.#cursor;
      this.#cursor++;
    }
  }

  #inRange(endpoint: number): boolean {
    return Number.isInteger(endpoint) && endpoint >= this.#first && endpoint <= this.#last;
  }
}
