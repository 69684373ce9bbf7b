/** Ids from `first` to `last`, both included; empty when `last` is below `first`. */
export interface IdRange {
  readonly first: number;
  readonly last: number;
}

/** Which ids may not be given. */
export interface Unavailable {
  /** In use by an owner. */
  readonly taken: ReadonlySet<number>;
  /** Without an owner, but somebody may still act for the last one. */
  readonly resting?: ReadonlySet<number>;
  /** Whole ranges that are nobody's to give, sorted by `first` and apart from each other. */
  readonly excluded?: readonly IdRange[];
}

/** The lowest id of `range` that may be given, or undefined when there is none. Takes time by what is unavailable,
 * not by the size of the range. */
export function lowestFreeId(range: IdRange, unavailable: Unavailable): number | undefined {
  const { taken, resting, excluded = [] } = unavailable;
  let next = 0;
  for (let id = range.first; id <= range.last; id++) {
    let hole = excluded[next];
    while (hole !== undefined && hole.last < id) hole = excluded[++next];
    if (hole !== undefined && hole.first <= id) id = hole.last;
    else if (!taken.has(id) && resting?.has(id) !== true) return id;
  }
  return undefined;
}

/** How many ids of `range` are left. */
export function countFreeIds(range: IdRange, unavailable: Unavailable): number {
  const { taken, resting, excluded = [] } = unavailable;
  const within = (id: number): boolean => id >= range.first && id <= range.last;
  const inHole = (id: number): boolean => excluded.some((hole) => id >= hole.first && id <= hole.last);
  let free = Math.max(range.last - range.first + 1, 0);
  for (const hole of excluded) {
    const size = Math.min(hole.last, range.last) - Math.max(hole.first, range.first) + 1;
    free -= Math.max(size, 0);
  }
  for (const id of new Set([...taken, ...(resting ?? [])])) if (within(id) && !inHole(id)) free--;
  return free;
}
