import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

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

const TIMEOUT_MS = 30_000;

/**
 * Performs one call and waits for its end without doing anything else.
 *
 * @returns the time from start to end of the plugin's process, in milliseconds.
 * @throws Error with what the plugin said, when it fails.
 */
export function callAlone(contender: Contender, command: Command, sandbox: Sandbox): number {
  const { file, env, input } = prepare(contender, command, sandbox);
  const start = process.hrtime.bigint();
  const ended = spawnSync(file, { env, input, timeout: TIMEOUT_MS, encoding: 'utf8' });
  const end = process.hrtime.bigint();
  if (ended.error !== undefined) throw new Error(`could not run ${file}`, { cause: ended.error });
  if (ended.status !== 0) throw failed(contender, command, ended.status, `${ended.stdout}${ended.stderr}`);
  return Number(end - start) / 1e6;
}

/** Performs one call beside others. @throws Error with what the plugin said, when it fails. */
export async function call(contender: Contender, command: Command, sandbox: Sandbox): Promise<void> {
  const { file, env, input } = prepare(contender, command, sandbox);
  const child = spawn(file, { env, stdio: ['pipe', 'pipe', 'pipe'], timeout: TIMEOUT_MS });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (said += text));
  child.stdin.on('error', () => undefined); // told by the exit status
  child.stdin.end(input);
  await once(child, 'close');
  if (child.exitCode !== 0) throw failed(contender, command, child.exitCode, said);
}

function prepare(
  { plugins, config }: Contender,
  command: Command,
  sandbox: Sandbox,
): { file: string; env: Record<string, string>; input: string } {
  const env = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: sandbox.containerId,
    CNI_NETNS: sandbox.netns,
    CNI_IFNAME: 'eth0',
    CNI_ARGS: sandbox.args,
    CNI_PATH: plugins,
  };
  return { file: join(plugins, config.type), env, input: JSON.stringify(config) };
}

function failed({ name }: Contender, command: Command, status: number | null, said: string): Error {
  return new Error(`${name}: ${command} ended with status ${status}: ${said.trim()}`);
}
