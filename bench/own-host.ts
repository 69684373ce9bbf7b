import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { waitFor } from '../src/lib/wait-for.ts';

const CHECKOUT = fileURLToPath(new URL('..', import.meta.url));
/** What is called is waited for without a limit of its own; no bench takes so long. */
const LIMIT_MS = 20 * 60_000;
const GONE_MS = 60_000;

/** Where the agent of a bench puts the plugin. */
export const PLUGINS = '/opt/cni/bin';

/**
 * Runs `program` again, with --inside before `args`, in network, mount and PID namespaces that end with it.
 *
 * @returns its exit status.
 */
export function runInside(program: string, args: readonly string[]): number {
  if (process.getuid?.() !== 0) {
    process.stderr.write(`${program}: needs root, for network namespaces\n`);
    return 1;
  }
  const namespaces = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const again = [...namespaces, process.execPath, program, '--inside', ...args];
  return spawnSync('unshare', again, { stdio: 'inherit', timeout: LIMIT_MS, killSignal: 'SIGKILL' }).status ?? 1;
}

/**
 * Makes those namespaces a host: /run, /etc and /opt of its own, an uplink with `address`, and empty network namespaces
 * pod0, pod1... for as many pods.
 */
export function makeHost(address: string, pods: number): void {
  run('mount', '-t', 'tmpfs', 'tmpfs', '/run');
  for (const part of ['etc', 'opt']) {
    const [upper, work] = [`/run/bench/${part}`, `/run/bench/${part}.work`];
    for (const folder of [upper, work]) mkdirSync(folder, { recursive: true });
    const layers = `lowerdir=/${part},upperdir=${upper},workdir=${work}`;
    run('mount', '-t', 'overlay', 'overlay', '-o', layers, `/${part}`);
  }
  run('rm', '-rf', '/etc/cni/net.d', PLUGINS);
  run('ip', 'link', 'set', 'lo', 'up');
  run('ip', 'link', 'add', 'uplink', 'type', 'veth', 'peer', 'name', 'outside');
  run('ip', 'addr', 'add', `${address}/24`, 'dev', 'uplink');
  for (const name of ['uplink', 'outside']) run('ip', 'link', 'set', name, 'up');
  for (let n = 0; n < pods; n++) run('ip', 'netns', 'add', `pod${n}`);
}

/** The launcher, built when it is not there yet. @throws Error when it can't be */
export function builtLauncher(): string {
  const launcher = `${CHECKOUT}.cache/launcher/romana`;
  if (!existsSync(launcher)) run(`${CHECKOUT}launcher/build.sh`, launcher);
  return launcher;
}

/** Runs a command to its end. @returns what it printed. @throws Error with what it said when it fails */
export function run(command: string, ...args: readonly string[]): string {
  const ended = spawnSync(command, args, { encoding: 'utf8' });
  if (ended.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${ended.stderr.trim()}`);
  return ended.stdout;
}

/** Waits until all links of pods are gone but `left`: the kernel takes ours away after the answer. */
export async function linksGone(left = 0): Promise<void> {
  await waitFor('the links of pods to be gone', () => linksOfPods() <= left, { timeoutMs: GONE_MS });
}

function linksOfPods(): number {
  return readdirSync('/proc/sys/net/ipv4/conf').filter((name) => /^(?:roma|veth)/.test(name)).length;
}
