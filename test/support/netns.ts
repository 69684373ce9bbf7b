import { execFile, execFileSync, spawn } from 'node:child_process';
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { withNetns } from '../../src/kernel/netns.ts';

/** What a command in a namespace came to. */
export interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How long a command may take unless told otherwise, in milliseconds. */
const COMMAND_TIMEOUT_MS = 30_000;

let made = 0;
const open = new Set<TestNetns>();

// For a test process that ends before its `finally` blocks ran (an interrupt, an error at import).
process.on('exit', () => {
  // By one process, which goes on when this one is killed meanwhile.
  const lines = [...open].map((ns) => ns.abandon()).map((name) => `netns delete ${name}\n`);
  if (lines.length > 0) execFileSync('ip', ['-force', '-batch', '-'], { input: lines.join('') });
});
// A signal alone would end the process without that.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

/**
 * A network namespace for one test, with its loopback up: an empty Linux host as far as the network is concerned.
 *
 * @example
 * await using a = TestNetns.create('a');
 * await a.run(['ip', 'address', 'add', '192.0.2.1/24', 'dev', 'lo']);
 * using host = Rtnl.open({ netns: a.path });
 */
export class TestNetns {
  /** `rt-PID-N-LABEL`, as `ip netns` shows it. */
  readonly name: string;
  readonly #children = new Set<ChildProcess>();

  private constructor(name: string) {
    this.name = name;
  }

  /**
   * Makes a namespace; `label` only helps to tell several apart.
   *
   * @throws Error without root: tests of packets fail then, they are never left out silently.
   */
  static create(label: string): TestNetns {
    if (process.getuid?.() !== 0) {
      throw new Error('this test makes network namespaces and needs root: run it as root or with sudo');
    }
    made += 1;
    const ns = new TestNetns(`rt-${process.pid}-${made}-${label}`);
    execFileSync('ip', ['netns', 'add', ns.name]);
    open.add(ns);
    execFileSync('ip', ['-n', ns.name, 'link', 'set', 'lo', 'up']);
    return ns;
  }

  /** The namespace's file. */
  get path(): string {
    return `/run/netns/${this.name}`;
  }

  /** Runs a command in the namespace; its standard output. Another status than 0 is an error that shows its output. */
  async run(command: readonly [string, ...string[]], options: { readonly timeoutMs?: number } = {}): Promise<string> {
    const { status, stdout, stderr } = await this.try(command, options);
    if (status === 0) return stdout;
    throw new Error(`${this.name}: "${command.join(' ')}" ended with status ${status}: ${stdout}${stderr}`);
  }

  /** Runs a command in the namespace, whatever its status. */
  try(
    command: readonly [string, ...string[]],
    { timeoutMs = COMMAND_TIMEOUT_MS }: { readonly timeoutMs?: number } = {},
  ): Promise<CommandResult> {
    return new Promise((resolve) => {
      const child = execFile(
        'ip',
        ['netns', 'exec', this.name, ...command],
        { timeout: timeoutMs, killSignal: 'SIGKILL', encoding: 'utf8' },
        (error, stdout, stderr) => resolve({ status: error === null ? 0 : (child.exitCode ?? -1), stdout, stderr }),
      );
      this.#track(child);
    });
  }

  /** Starts a command in the namespace, which ends with it. */
  spawn(command: readonly [string, ...string[]], options: SpawnOptions = {}): ChildProcess {
    // `ip netns exec` becomes the command, so that its pid is the child's.
    const child = spawn('ip', ['netns', 'exec', this.name, ...command], options);
    this.#track(child);
    return child;
  }

  /** Runs `act` with this process in the namespace; synchronous, as `withNetns`. */
  inside<T>(act: () => T): T {
    return withNetns(this.path, act);
  }

  /** Ends what was started here and removes the namespace. */
  async [Symbol.asyncDispose](): Promise<void> {
    const ended = [...this.#children].map((child) => once(child, 'exit'));
    for (const child of this.#children) child.kill('SIGKILL');
    await Promise.all(ended);
    this.removeNow();
  }

  /** The same without waiting for processes to end. A second time does nothing. */
  removeNow(): void {
    if (open.has(this)) execFileSync('ip', ['netns', 'delete', this.abandon()]);
  }

  /** Ends what was started here and leaves the namespace to the caller. @returns its name */
  abandon(): string {
    open.delete(this);
    for (const child of this.#children) child.kill('SIGKILL');
    return this.name;
  }

  #track(child: ChildProcess): void {
    if (child.pid === undefined) return;
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
  }
}
