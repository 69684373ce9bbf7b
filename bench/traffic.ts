import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { availableParallelism } from 'node:os';
import type { RigPod } from '../test/support/rig-pod.ts';
import { trafficRows, trafficTable } from './traffic-report.ts';
import { makeWorld, PORTS, type TrafficWorld } from './traffic-world.ts';

// Traffic between two pods, on one host and across two: bytes of one connection, and connections with an exchange, per
// second. The pods, links and routes are the same all the time; what takes turns is the rules: none, one of conntrack
// and a masquerade chain (the peer), and ours with 0, 100 and 1,000 policies. For the goals see traffic-report.ts.
//   node bench/traffic.ts [--json FILE] [--rounds N] [--slice MS]

const PROGRAM = fileURLToPath(new URL('traffic-program.ts', import.meta.url));
const POLICIES = [0, 100, 1000] as const;
const ANSWER_MS = 30_000;

/** What is measured: the path, and what goes on it. */
export type Measure = `${'one host' | 'two hosts'}, ${'bulk' | 'exchange'}`;

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    rounds: { type: 'string', default: '30' },
    slice: { type: 'string', default: '100' },
  },
});
const rounds = Number(values.rounds);

await using world = await makeWorld(POLICIES);
const client = startProgram(world.client, 0, 'ask');
for (const server of [world.near, world.far]) {
  // An exchange is one thing after the other, on one processor; a bulk keeps two busy.
  const bulk = startProgram(server, availableParallelism() - 1, 'serve', 'bulk', String(PORTS.bulk));
  const exchange = startProgram(server, 0, 'serve', 'exchange', String(PORTS.exchange));
  await Promise.all([bulk, exchange].map(({ next }) => next()));
}
const results = await race(world);
const rows = trafficRows(results);
process.stdout.write(`Traffic, ${rounds} rounds of ${values.slice} ms each\n${trafficTable(rows)}\n`);
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ rows }, undefined, 2)}\n`);

/** Lets the variants take turns; the first round only warms up. Which one begins changes. */
async function race({ variants, near, far, put }: TrafficWorld): Promise<Map<string, Map<Measure, number[]>>> {
  const all = new Map(variants.map(({ name }) => [name, new Map<Measure, number[]>()]));
  for (let round = 0; round <= rounds; round++) {
    const first = round % variants.length;
    for (const variant of [...variants.slice(first), ...variants.slice(0, first)]) {
      put(variant);
      for (const [path, server] of [
        ['one host', near],
        ['two hosts', far],
      ] as const) {
        for (const kind of ['bulk', 'exchange'] as const) {
          client.say(`${kind} ${server.address(4)} ${PORTS[kind]} ${values.slice}`);
          const value = Number(await client.next());
          const list = all.get(variant.name)?.get(`${path}, ${kind}`) ?? [];
          if (round > 0) all.get(variant.name)?.set(`${path}, ${kind}`, [...list, value]);
        }
      }
    }
    if (round % 10 === 0)
      process.stderr.write(`bench/traffic: ${round === 0 ? 'warm' : `round ${round} of ${rounds}`}\n`);
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
function startProgram(pod: RigPod, processor: number, ...args: readonly string[]): Program {
  const command = ['chrt', '-f', '1', 'taskset', '-c', String(processor), process.execPath, PROGRAM] as const;
  const { stdin, stdout } = pod.ns.spawn([...command, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  if (stdin === null || stdout === null) throw new Error(`${args.join(' ')} has no input or output`);
  const iterator = createInterface({ input: stdout })[Symbol.asyncIterator]();
  return {
    say: (line) => void stdin.write(`${line}\n`),
    next: async () => {
      const late = AbortSignal.timeout(ANSWER_MS);
      const none = once(late, 'abort').then(() => ({ done: true, value: '' }));
      const { done, value } = await Promise.race([iterator.next(), none]);
      if (done === true) throw new Error(`${args.join(' ')} in ${pod.name} has ended or does not answer`);
      return value;
    },
  };
}
