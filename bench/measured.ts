import { type Spread, spread, table } from './statistics.ts';

/** One thing measured, and what the median of its values may be at most, or must be at least. */
export interface Measured {
  readonly what: string;
  readonly unit: string;
  readonly values: readonly number[];
  readonly atMost?: number;
  readonly atLeast?: number;
}

/** A thing measured, for programs. */
export interface MeasuredRow extends Measured, Spread {
  /** Undefined without a goal. */
  readonly met: boolean | undefined;
}

/** Judges what was measured; there is one value at least of each. */
export function measuredRows(all: readonly Measured[]): readonly MeasuredRow[] {
  return all.map((one) => {
    const { min, median, max } = spread(one.values);
    const { atMost = Infinity, atLeast = -Infinity } = one;
    const judged = one.atMost !== undefined || one.atLeast !== undefined;
    return { ...one, min, median, max, met: judged ? median <= atMost && median >= atLeast : undefined };
  });
}

/** The rows as a table for people. */
export function measuredTable(rows: readonly MeasuredRow[]): string {
  const cells = rows.map((row) => [
    row.unit === '' ? row.what : `${row.what} (${row.unit})`,
    [row.min, row.median, row.max].map((value) => value.toPrecision(3)).join(' '),
    goalText(row),
  ]);
  return table([['', 'min median max', 'goal'], ...cells]);
}

function goalText({ atMost, atLeast, met }: MeasuredRow): string {
  const goals = [
    ...(atMost === undefined ? [] : [`at most ${atMost}`]),
    ...(atLeast === undefined ? [] : [`at least ${atLeast}`]),
  ];
  return goals.length === 0 ? '' : `${goals.join(', ')}: ${met === true ? 'met' : 'not met'}`;
}
