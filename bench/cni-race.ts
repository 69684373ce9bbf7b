import { type Command, type Contender, type Sandbox, call, callAlone } from './cni-call.ts';
import { median } from './statistics.ts';

/** What one contender did in one round. */
export interface Round {
  /** Median of a call with nothing beside it, in milliseconds. */
  readonly addMs: number;
  readonly delMs: number;
  /** Pods per second, with as many calls at a time as there are lanes. */
  readonly parallelAdds: number;
  readonly parallelDels: number;
  /** Pods per second that were added and deleted. */
  readonly parallelPods: number;
}

/** How long a race is. */
export interface RaceOptions {
  readonly contenders: readonly Contender[];
  /** One for each pod of a round. */
  readonly sandboxes: readonly Sandbox[];
  readonly rounds: number;
  /** Calls at a time in the parallel part. */
  readonly lanes: number;
  /** Waits until what `contender` does in the background is done, so that it does not weigh on the others. */
  readonly settle: (contender: Contender) => Promise<void>;
  readonly progress: (text: string) => void;
}

/**
 * Lets the contenders take turns, round by round, on the same sandboxes; the first round only warms up. Which one
 * begins changes, so that none always profits from what another has left behind.
 *
 * @returns the rounds of each contender, by its name.
 */
export async function race(options: RaceOptions): Promise<ReadonlyMap<string, readonly Round[]>> {
  const results = new Map<string, Round[]>(options.contenders.map(({ name }) => [name, []]));
  for (let round = 0; round <= options.rounds; round++) {
    const order = round % 2 === 0 ? options.contenders : options.contenders.toReversed();
    for (const contender of order) {
      const result = await runRound(contender, options);
      if (round > 0) results.get(contender.name)?.push(result);
    }
    if (round > 0) options.progress(`round ${round} of ${options.rounds}`);
  }
  return results;
}

async function runRound(contender: Contender, { sandboxes, lanes, settle }: RaceOptions): Promise<Round> {
  const alone = (command: Command): number =>
    median(sandboxes.map((sandbox) => callAlone(contender, command, sandbox)));
  const addMs = alone('ADD');
  const delMs = alone('DEL');
  await settle(contender);
  const addSeconds = await together(contender, 'ADD', sandboxes, lanes);
  const delSeconds = await together(contender, 'DEL', sandboxes, lanes);
  await settle(contender);
  return {
    addMs,
    delMs,
    parallelAdds: sandboxes.length / addSeconds,
    parallelDels: sandboxes.length / delSeconds,
    parallelPods: sandboxes.length / (addSeconds + delSeconds),
  };
}

/** Performs the call for all sandboxes, `lanes` at a time; the seconds it took. */
async function together(
  contender: Contender,
  command: Command,
  sandboxes: readonly Sandbox[],
  lanes: number,
): Promise<number> {
  const waiting = [...sandboxes];
  const lane = async (): Promise<void> => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) await call(contender, command, next);
  };
  const start = process.hrtime.bigint();
  await Promise.all(Array.from({ length: lanes }, lane));
  return Number(process.hrtime.bigint() - start) / 1e9;
}
