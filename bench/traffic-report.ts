import type { Measure } from './traffic-race.ts';
import { type Spread, ratios, spread, table } from './statistics.ts';

/** The variant that goals are judged by. */
const PEER = 'peer';
/** What ours has to reach of the peer's, by the median. */
const GOALS = { bulk: 0.97, exchange: 0.95 } as const;

/** One variant of rules in one measure. */
export interface TrafficRow {
  readonly measure: Measure;
  readonly variant: string;
  /** Bytes, or connections, per second. */
  readonly values: Spread;
  readonly byPeer: Spread;
  /** Undefined for those that are shown for comparison. */
  readonly met: boolean | undefined;
}

/** Compares all variants with the peer, round by round. */
export function trafficRows(
  results: ReadonlyMap<string, ReadonlyMap<Measure, readonly number[]>>,
): readonly TrafficRow[] {
  const peers = results.get(PEER);
  if (peers === undefined) throw new Error('no peer to compare with');
  return [...peers].flatMap(([measure, theirs]) =>
    [...results].map(([variant, measures]): TrafficRow => {
      const mine = measures.get(measure) ?? [];
      const byPeer = spread(ratios(mine, theirs));
      const judged = variant.includes(' policies');
      const met = judged ? byPeer.median >= goalOf(measure) : undefined;
      return { measure, variant, values: spread(mine), byPeer, met };
    }),
  );
}

/** The rows as a table for people. */
export function trafficTable(rows: readonly TrafficRow[]): string {
  let last = '';
  const cells = rows.map(({ measure, variant, values, byPeer, met }) => {
    const bulk = measure.endsWith('bulk');
    const head = measure === last ? '' : `${measure} (${bulk ? 'Gbit/s' : '/s'})`;
    last = measure;
    const shown = (value: number): string => (bulk ? ((value * 8) / 1e9).toPrecision(3) : value.toFixed(0));
    const goal = met === undefined ? '' : `at least ${goalOf(measure)}: ${met ? 'met' : 'not met'}`;
    return [head, variant, text(values, shown), text(byPeer, (value) => value.toPrecision(3)), goal];
  });
  return table([['', '', 'min median max', 'by the peer', 'goal'], ...cells]);
}

function goalOf(measure: Measure): number {
  return measure.endsWith('bulk') ? GOALS.bulk : GOALS.exchange;
}

function text({ min, median, max }: Spread, shown: (value: number) => string): string {
  return [min, median, max].map(shown).join(' ');
}
