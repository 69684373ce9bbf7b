import type { RaceResult, Round } from './cni-race.ts';
import { type Spread, ratios, spread, table } from './statistics.ts';

/** What is compared, whether less is better, and the goal for the median of ours by theirs. */
const MEASURES = [
  { key: 'addMs', what: 'ADD, one at a time', unit: 'ms', goal: 0.5, less: true },
  { key: 'delMs', what: 'DEL, one at a time', unit: 'ms', goal: 0.25, less: true },
  { key: 'parallelAdds', what: 'ADD, in parallel', unit: '/s', goal: undefined, less: false },
  { key: 'parallelDels', what: 'DEL, in parallel', unit: '/s', goal: undefined, less: false },
  { key: 'parallelPods', what: 'ADD and DEL, in parallel', unit: '/s', goal: 2, less: false },
  { key: 'parallelPodsGone', what: '... until the links are gone', unit: '/s', goal: undefined, less: false },
] as const satisfies readonly {
  key: keyof Round;
  what: string;
  unit: string;
  goal: number | undefined;
  less: boolean;
}[];

/** One measure: ours, and each peer with the ratio of ours by it. */
interface Row {
  readonly key: keyof Round;
  readonly what: string;
  readonly unit: string;
  readonly less: boolean;
  readonly goal: number | undefined;
  /** Whether the goal is met against the first peer, by which it is judged. */
  readonly met: boolean | undefined;
  readonly romana: Spread;
  readonly peers: readonly {
    readonly name: string;
    readonly values: Spread;
    readonly ratio: Spread;
    readonly met: boolean | undefined;
  }[];
}

/** What a race shows, for programs. */
export interface CniReport {
  /** Start and end of a program that does nothing, in milliseconds. It is part of every time, and not taken off. */
  readonly floorMs: Spread;
  readonly rows: readonly Row[];
}

/** Compares `ours` with the peers; goals are judged by the first of them. */
export function cniReport({ rounds, floorMs }: RaceResult, ours: string, peers: readonly string[]): CniReport {
  const of = (name: string, key: keyof Round): number[] => (rounds.get(name) ?? []).map((round) => round[key]);
  const rows = MEASURES.map(({ key, what, unit, goal, less }): Row => {
    const mine = of(ours, key);
    const compared = peers.map((name) => {
      const theirs = of(name, key);
      const ratio = spread(ratios(mine, theirs));
      const met = goal === undefined ? undefined : less ? ratio.median <= goal : ratio.median >= goal;
      return { name, values: spread(theirs), ratio, met };
    });
    return { key, what, unit, less, goal, met: compared[0]?.met, romana: spread(mine), peers: compared };
  });
  return { floorMs: spread(floorMs), rows };
}

/** The report as a table for people. */
export function cniTable({ floorMs, rows }: CniReport): string {
  const lines = rows.flatMap((row) => [
    [`${row.what} (${row.unit})`, 'romana', text(row.romana), '', ''],
    ...row.peers.map(({ name, values, ratio, met }, i) => [
      '',
      name,
      text(values),
      text(ratio),
      goal(row, met, i === 0),
    ]),
  ]);
  const floor = ['the floor of a call (ms)', '/bin/true', text(floorMs), '', ''];
  return table([['', '', 'min median max', 'romana by it', 'goal'], floor, ...lines]);
}

function goal(row: Row, met: boolean | undefined, judged: boolean): string {
  if (row.goal === undefined) return '';
  const said = `${row.less ? 'at most' : 'at least'} ${row.goal}: ${met === true ? 'met' : 'not met'}`;
  return judged ? said : `(${said})`;
}

function text({ min, median, max }: Spread): string {
  return [min, median, max].map((value) => value.toPrecision(3)).join(' ');
}
