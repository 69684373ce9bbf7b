import { globSync, readdirSync, readFileSync } from 'node:fs';
import { identify, type ProcessIdentity } from '../../src/local/process-identity.ts';
import { runCommand } from '../../src/local/run-command.ts';

/** Where files of a cluster may be, with its name in theirs. */
const PLACES = ['/run', '/run/romana-local', '/run/netns', '/var/lib', '/var/lib/romana-local', '/tmp'];

/** What a cluster might leave on the machine, as text to compare; `mark` is in the names of this test's clusters. */
export async function machineState(mark: string): Promise<string> {
  const links = await runCommand('ip', ['-oneline', 'link']);
  const addresses = await runCommand('ip', ['-oneline', 'address']);
  const routes = await runCommand('ip', ['route', 'show', 'table', 'all']);
  const rules = await runCommand('ip', ['rule']);
  const tables = await runCommand('nft', ['list', 'tables']);
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .filter((line) => line.includes(mark));
  const files = PLACES.flatMap((place) =>
    namesIn(place)
      .filter((name) => name.includes(mark))
      .map((name) => `${place}/${name}`),
  );
  const cgroups = globSync('/sys/fs/cgroup/**/', { withFileTypes: false }).filter((path) => path.includes(mark));
  const kernel = [links, addresses, routes, rules].map(names);
  return JSON.stringify([kernel, tables, mounts, files, cgroups, processesWith(mark)], undefined, 1);
}

/** Command lines of processes that name a cluster of this test. */
export function processesWith(mark: string): string[] {
  return pids().flatMap((pid) => {
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      return line.includes(mark) ? [line] : [];
    } catch {
      return [];
    }
  });
}

/** A process and all that it has started, as far as that still hangs on it, in whatever namespaces. */
export function familyOf(ancestor: number): ProcessIdentity[] {
  const children = new Map<number, number[]>();
  for (const pid of pids()) {
    const parent = Number(/^PPid:\t(\d+)$/m.exec(statusOf(pid))?.[1] ?? 0);
    children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const family = [ancestor];
  for (const pid of family) family.push(...(children.get(pid) ?? []));
  return family.map(identify).filter((identity) => identity !== undefined);
}

function pids(): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && entry !== String(process.pid))
    .map(Number);
}

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'latin1');
  } catch {
    return ''; // ended meanwhile
  }
}

/** Without lifetimes and counters, which change by themselves. */
function names(text: string): string[] {
  return text.split('\n').map((line) => line.split(/\s+/).slice(0, 4).join(' '));
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
