/** Something that works less well than it should, or not at all, for somebody to be told. */
export interface Warning {
  readonly reason: 'RangeConflict' | 'HostUnreachable' | 'PooledTenant' | 'PooledSegment';
  /** What it is about: `Host minion1`, `Namespace tenant-a`. */
  readonly object: string;
  readonly message: string;
}
