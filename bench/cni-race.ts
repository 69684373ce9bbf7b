import type { Caller, Command, Contender, Sandbox } from './cni-call.ts';
import { median } from './statistics.ts';

/** What one contender did in one round. */
export interface Round {
  /** Median of a call with nothing beside it, in milliseconds. */
  readonly addMs: number;
  readonly delMs: number;
  /** Pods per second, with as many calls at a time as there are lanes. */
  readonly parallelAdds: number;
  readonly parallelDels: number;
  /** Pods per second that were added and deleted, until the last answer. */
  readonly parallelPods: number;
  /** The same until the last link is gone, which may be after the answer. */
  readonly parallelPodsGone: number;
}

/** How long a race is. */
export interface RaceOptions {
  readonly caller: Caller;
  readonly contenders: readonly Contender[];
  /** One for each pod of a round. */
  readonly sandboxes: readonly Sandbox[];
  readonly rounds: number;
  /** Calls at a time in the parallel part. */
  readonly lanes: number;
  /** Waits until what a contender does in the background is done, so that it does not weigh on the others. */
  readonly settle: () => Promise<void>;
  readonly progress: (text: string) => void;
}

/** What all contenders did. */
export interface RaceResult {
  /** The rounds of each contender, by its name. */
  readonly rounds: ReadonlyMap<string, readonly Round[]>;
  /** For each round, the median of starting and ending a program that does nothing, in milliseconds. */
  readonly floorMs: readonly number[];
}

/**
 * Lets the contenders take turns, round by round, on the same sandboxes; the first round only warms up. Which one
 * begins changes, so that none always profits from what another has left behind.
 */
export async function race(options: RaceOptions): Promise<RaceResult> {
  const { contenders, caller, sandboxes } = options;
  const rounds = new Map<string, Round[]>(contenders.map(({ name }) => [name, []]));
  const floorMs: number[] = [];
  for (let round = 0; round <= options.rounds; round++) {
    const floor = median(sandboxes.map(() => caller.floor()));
    if (round > 0) floorMs.push(floor);
    const first = round % contenders.length;
    for (const contender of [...contenders.slice(first), ...contenders.slice(0, first)]) {
      const result = await runRound(contender, options);
      if (round > 0) rounds.get(contender.name)?.push(result);
    }
    options.progress(round === 0 ? 'warm' : `round ${round} of ${options.rounds}`);
  }
  return { rounds, floorMs };
}

async function runRound(contender: Contender, options: RaceOptions): Promise<Round> {
  const { caller, sandboxes, lanes, settle } = options;
  const alone = (command: Command): number =>
    median(sandboxes.map((sandbox) => caller.alone(contender, command, sandbox).ms));
  const addMs = alone('ADD');
  const delMs = alone('DEL');
  await settle();
  const began = process.hrtime.bigint();
  const addSeconds = caller.together(contender, 'ADD', sandboxes, lanes);
  const delSeconds = caller.together(contender, 'DEL', sandboxes, lanes);
  await settle();
  const allSeconds = Number(process.hrtime.bigint() - began) / 1e9;
  return {
    addMs,
    delMs,
    parallelAdds: sandboxes.length / addSeconds,
    parallelDels: sandboxes.length / delSeconds,
    parallelPods: sandboxes.length / (addSeconds + delSeconds),
    parallelPodsGone: sandboxes.length / allSeconds,
  };
}
