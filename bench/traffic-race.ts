import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { TestNetns } from '../test/support/netns.ts';

const PROGRAM = fileURLToPath(new URL('traffic-program.ts', import.meta.url));
const ANSWER_MS = 30_000;

/** Ports that policy opens from the client to the servers. */
export const PORTS = { bulk: 5001, exchange: 5002 } as const;

/** The way of packets. */
export type Path = 'one host' | 'two hosts';
/** What is measured: the path, and what goes on it. */
export type Measure = `${Path}, ${'bulk' | 'exchange'}`;

/** What a race of traffic is about. */
export interface TrafficRace<V extends { readonly name: string }> {
  readonly client: TestNetns;
  readonly servers: readonly { readonly path: Path; readonly ns: TestNetns; readonly address: string }[];
  /** What takes turns. */
  readonly variants: readonly V[];
  /** Puts a variant in the place of the one before. */
  readonly put: (variant: V) => void;
  readonly rounds: number;
  /** How long each measurement takes. */
  readonly sliceMs: number;
}

/**
 * Lets the variants take turns; the first round only warms up. Which one begins changes.
 *
 * @returns for each variant bytes, or connections, per second of each round.
 */
export async function raceTraffic<V extends { readonly name: string }>(
  race: TrafficRace<V>,
): Promise<Map<string, Map<Measure, number[]>>> {
  const { variants, servers, put, rounds, sliceMs } = race;
  const client = startProgram(race.client, 0, 'ask');
  for (const { ns } of servers) {
    // An exchange is one thing after the other, on one processor; a bulk keeps two busy.
    const bulk = startProgram(ns, availableParallelism() - 1, 'serve', 'bulk', String(PORTS.bulk));
    const exchange = startProgram(ns, 0, 'serve', 'exchange', String(PORTS.exchange));
    await Promise.all([bulk, exchange].map(({ next }) => next()));
  }
  const all = new Map(variants.map(({ name }) => [name, new Map<Measure, number[]>()]));
  for (let round = 0; round <= rounds; round++) {
    const first = round % variants.length;
    for (const variant of [...variants.slice(first), ...variants.slice(0, first)]) {
      put(variant);
      for (const { path, address } of servers) {
        for (const kind of ['bulk', 'exchange'] as const) {
          client.say(`${kind} ${address} ${PORTS[kind]} ${sliceMs}`);
          const value = Number(await client.next());
          const list = all.get(variant.name)?.get(`${path}, ${kind}`) ?? [];
          if (round > 0) all.get(variant.name)?.set(`${path}, ${kind}`, [...list, value]);
        }
      }
    }
    if (round % 10 === 0) process.stderr.write(`traffic: ${round === 0 ? 'warm' : `round ${round} of ${rounds}`}\n`);
  }
  return all;
}

interface Program {
  say(line: string): void;
  /** The next line of its output. */
  next(): Promise<string>;
}

/**
 * Starts the program in a pod, on one processor and, while it has work, before all others: those who share the machine
 * are not measured.
 */
function startProgram(ns: TestNetns, processor: number, ...args: readonly string[]): Program {
  const command = ['chrt', '-f', '1', 'taskset', '-c', String(processor), process.execPath, PROGRAM] as const;
  const { stdin, stdout } = ns.spawn([...command, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  if (stdin === null || stdout === null) throw new Error(`${args.join(' ')} has no input or output`);
  const iterator = createInterface({ input: stdout })[Symbol.asyncIterator]();
  return {
    say: (line) => void stdin.write(`${line}\n`),
    next: async () => {
      const late = AbortSignal.timeout(ANSWER_MS);
      const none = once(late, 'abort').then(() => ({ done: true, value: '' }));
      const { done, value } = await Promise.race([iterator.next(), none]);
      if (done === true) throw new Error(`${args.join(' ')} in ${ns.name} has ended or does not answer`);
      return value;
    },
  };
}
