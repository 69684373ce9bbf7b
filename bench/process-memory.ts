import { readdirSync, readFileSync } from 'node:fs';

/**
 * The processes that descend from one of `roots`, and these themselves: through a pid namespace too, because orphans
 * of one become children of its process 1.
 */
export function processTree(roots: readonly number[]): readonly number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const pid = Number(entry);
    const parent = parentOf(pid);
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const found = new Set(roots);
  for (const pid of found) for (const child of children.get(pid) ?? []) found.add(child);
  return [...found];
}

/** Proportional set size of a process in bytes (proc_pid_smaps(5)): pages shared by n count an nth; 0 if it is gone. */
export function proportionalSize(pid: number): number {
  const text = readUnlessGone(`/proc/${pid}/smaps_rollup`);
  return Number(/^Pss: +(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;
}

function parentOf(pid: number): number | undefined {
  const stat = readUnlessGone(`/proc/${pid}/stat`);
  // The name in parentheses may hold anything, so count from the last ')': the parent is field 4 (proc_pid_stat(5)).
  const parent = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
  return parent === undefined ? undefined : Number(parent);
}

/** The file of a process, or nothing when the process ended meanwhile. */
export function readUnlessGone(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return '';
    throw error;
  }
}
