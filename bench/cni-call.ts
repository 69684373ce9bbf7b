import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startProgram, waitForProgram } from './posix-spawn.ts';

/** A plugin to be driven through the CNI protocol, as a container runtime does it. */
export interface Contender {
  readonly name: string;
  /** Folder of the plugin's executable and of those that it calls itself. */
  readonly plugins: string;
  /** The plugin's network configuration; its type is the executable's name. */
  readonly config: { readonly cniVersion: string; readonly name: string; readonly type: string };
}

/** A pod's sandbox. */
export interface Sandbox {
  readonly containerId: string;
  /** Path of the network namespace. */
  readonly netns: string;
  /** CNI_ARGS. */
  readonly args: string;
}

/** Calls a bench makes. */
export type Command = 'ADD' | 'DEL';

/** Starts plugins from this process, which does nothing else while they run. */
export class Caller {
  readonly #folder: string;

  /** @param folder an empty one in memory, for the plugins' input and output. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Performs one call.
   *
   * @returns the time from start to end of the plugin's process in milliseconds, and what it printed.
   * @throws Error with what the plugin said, when it fails.
   */
  alone(contender: Contender, command: Command, sandbox: Sandbox): { ms: number; said: string } {
    const began = process.hrtime.bigint();
    const running = this.#start(contender, command, sandbox, 0);
    const { status } = waitForProgram(running.pid);
    const ms = Number(process.hrtime.bigint() - began) / 1e6;
    const said = running.said();
    if (status !== 0) throw failed(contender, command, status, said);
    return { ms, said };
  }

  /**
   * Performs the call for all sandboxes, `lanes` at a time.
   *
   * @returns the seconds it took.
   * @throws Error with what the plugin said, when one fails, or when another child of this process ends.
   */
  together(contender: Contender, command: Command, sandboxes: readonly Sandbox[], lanes: number): number {
    const waiting = [...sandboxes];
    const running = new Map<number, { lane: number; said: () => string }>();
    const next = (lane: number): void => {
      const sandbox = waiting.pop();
      if (sandbox === undefined) return;
      const { pid, said } = this.#start(contender, command, sandbox, lane);
      running.set(pid, { lane, said });
    };
    const began = process.hrtime.bigint();
    for (let lane = 0; lane < lanes; lane++) next(lane);
    while (running.size > 0) {
      const { pid, status } = waitForProgram(-1);
      const ended = running.get(pid);
      if (ended === undefined) throw new Error(`the API server or the agent of the bench ended, with status ${status}`);
      if (status !== 0) throw failed(contender, command, status, ended.said());
      running.delete(pid);
      next(ended.lane);
    }
    return Number(process.hrtime.bigint() - began) / 1e9;
  }

  /** What the start and the end of a program that does nothing take, in milliseconds: the floor of a call. */
  floor(): number {
    const input = openSync('/dev/null', 'r+');
    try {
      const began = process.hrtime.bigint();
      waitForProgram(startProgram({ file: '/bin/true', env: {}, input, output: input }));
      return Number(process.hrtime.bigint() - began) / 1e6;
    } finally {
      closeSync(input);
    }
  }

  #start(
    { plugins, config }: Contender,
    command: Command,
    sandbox: Sandbox,
    lane: number,
  ): { pid: number; said: () => string } {
    const [question, answer] = [join(this.#folder, `in${lane}`), join(this.#folder, `out${lane}`)];
    writeFileSync(question, JSON.stringify(config));
    const input = openSync(question, 'r');
    const output = openSync(answer, 'w');
    try {
      const env = {
        CNI_COMMAND: command,
        CNI_CONTAINERID: sandbox.containerId,
        CNI_NETNS: sandbox.netns,
        CNI_IFNAME: 'eth0',
        CNI_ARGS: sandbox.args,
        CNI_PATH: plugins,
      };
      const pid = startProgram({ file: join(plugins, config.type), env, input, output });
      return { pid, said: () => readFileSync(answer, 'utf8') };
    } finally {
      closeSync(input);
      closeSync(output);
    }
  }
}

function failed({ name }: Contender, command: Command, status: number, said: string): Error {
  return new Error(`${name}: ${command} ended with status ${status}: ${said.trim()}`);
}
