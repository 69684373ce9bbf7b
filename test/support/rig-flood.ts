import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { waitFor } from '../../src/lib/wait-for.ts';
import type { TestNetns } from './netns.ts';

const PROGRAM = fileURLToPath(new URL('rig-flood-program.ts', import.meta.url));
/** Between two echo requests to one address, in seconds. */
const PING_EVERY_S = 0.005;

/** UDP datagrams, TCP SYNs and echo requests to many addresses, from one namespace, whether anybody is there or not. */
export class RigFlood {
  readonly #children: readonly ChildProcess[];
  #rounds = 0;

  private constructor(children: readonly ChildProcess[]) {
    this.#children = children;
  }

  /** Starts to send from `ns`; ends with it. */
  static start(ns: TestNetns, addresses: readonly string[]): RigFlood {
    const sender = ns.spawn([process.execPath, PROGRAM, ...addresses], { stdio: ['pipe', 'pipe', 'inherit'] });
    const pings = addresses.map((address) =>
      ns.spawn(['ping', '-n', '-q', '-i', String(PING_EVERY_S), address], { stdio: 'ignore' }),
    );
    const flood = new RigFlood([sender, ...pings]);
    if (sender.stdout === null) throw new Error('RigFlood: the program has no standard output');
    createInterface({ input: sender.stdout }).on('line', () => (flood.#rounds += 1));
    return flood;
  }

  /** Waits until every address has been sent everything that is sent, from now on. */
  async pass(): Promise<void> {
    // The one that is under way now may have begun before.
    const enough = this.#rounds + 2;
    await waitFor('the flood to pass over all addresses', () => this.#rounds >= enough, { everyMs: 1 });
    if (this.#children.some((child) => child.exitCode !== null)) throw new Error('a part of the flood has ended');
  }
}
