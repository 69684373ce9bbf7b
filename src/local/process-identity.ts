import { readdirSync, readFileSync, statSync } from 'node:fs';
import { waitFor } from '../lib/wait-for.ts';

/** A process for good: pids are used again, a pid with its start time is not. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks after boot, field 22 of /proc/PID/stat (proc(5)). */
  readonly startTime: string;
}

/** The process that has this pid now, or undefined when none runs (a zombie does not). */
export function identify(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name in parentheses may hold anything, so count from the last ')': state is field 3.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const startTime = fields[19];
    return startTime === undefined || fields[0] === 'Z' ? undefined : { pid, startTime };
  } catch {
    return undefined;
  }
}

/** Whether that very process still runs. */
export function isAlive(process: ProcessIdentity): boolean {
  return identify(process.pid)?.startTime === process.startTime;
}

/** Sends `signal` to that very process; returns false when it is gone. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false;
  try {
    process.kill(identity.pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** Waits until the process is gone. @throws Error after `timeoutMs`. */
export async function waitGone(identity: ProcessIdentity, timeoutMs: number): Promise<void> {
  await waitFor(`the end of process ${identity.pid}`, () => !isAlive(identity), { timeoutMs });
}

/** Asks a process to end by `signal`, and ends it after `graceMs`. */
export async function stopProcess(
  identity: ProcessIdentity,
  graceMs: number,
  signal: NodeJS.Signals = 'SIGTERM',
): Promise<void> {
  if (!signalProcess(identity, signal)) return;
  try {
    await waitGone(identity, graceMs);
  } catch {
    signalProcess(identity, 'SIGKILL');
    await waitGone(identity, 10_000);
  }
}

/** Reads a file with "PID START_TIME"; undefined when there is none. */
export function readIdentity(file: string): ProcessIdentity | undefined {
  try {
    const [pid, startTime] = readFileSync(file, 'utf8').trim().split(' ');
    return pid === undefined || startTime === undefined ? undefined : { pid: Number(pid), startTime };
  } catch {
    return undefined;
  }
}

/** The processes whose network namespace is one of these files in /run/netns. */
export function processesIn(netnsFiles: readonly string[]): ProcessIdentity[] {
  const inodes = new Set<number>();
  for (const file of netnsFiles) {
    const inode = statSync(file, { throwIfNoEntry: false })?.ino;
    if (inode !== undefined) inodes.add(inode);
  }
  if (inodes.size === 0) return [];
  return processesWhere((directory) => inodes.has(statSync(`${directory}/ns/net`).ino));
}

/** The processes of `nsenter` and `unshare` that were told to go into one of these files, wherever they are yet. */
export function processesEntering(netnsFiles: readonly string[]): ProcessIdentity[] {
  const words = new Set(netnsFiles.map((file) => `--net=${file}`));
  return processesWhere((directory) => {
    const [program = '', ...rest] = readFileSync(`${directory}/cmdline`, 'utf8').split('\0');
    return (program === 'nsenter' || program === 'unshare') && rest.some((word) => words.has(word));
  });
}

/** @param matches told the process's directory in /proc; what it throws means that the process ended meanwhile */
function processesWhere(matches: (directory: string) => boolean): ProcessIdentity[] {
  const found: ProcessIdentity[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      if (!matches(`/proc/${entry}`)) continue;
    } catch {
      continue;
    }
    const identity = identify(Number(entry));
    if (identity !== undefined) found.push(identity);
  }
  return found;
}
