import { closeSync, fstatSync, openSync, statSync } from 'node:fs';
import { setNetworkNamespace } from './libc.ts';

const OWN = '/proc/thread-self/ns/net';

/**
 * Runs `act` with this thread in the network namespace that `netns` (a path or an open descriptor) names, and comes
 * back. `act` must be synchronous: whatever ran in between on this thread would run in the other namespace.
 *
 * A process that can't come back would go on to change the wrong machine's routes and rules, so it ends at once.
 *
 * @throws KernelError when `netns` can't be entered (EINVAL: it is no network namespace); ENOENT of Node's when it is not there.
 */
export function withNetns<T>(netns: string | number, act: () => T): T {
  const own = openSync(OWN, 'r');
  try {
    const target = typeof netns === 'number' ? netns : openSync(netns, 'r');
    try {
      setNetworkNamespace(target, `enter the network namespace ${typeof netns === 'number' ? '' : netns}`.trim());
    } finally {
      if (target !== netns) closeSync(target);
    }
    try {
      const result = act();
      if (result instanceof Promise) throw new TypeError('withNetns: the action must be synchronous');
      return result;
    } finally {
      comeBack(own);
    }
  } finally {
    closeSync(own);
  }
}

function comeBack(own: number): void {
  try {
    setNetworkNamespace(own, 'come back to the own network namespace');
  } catch (error) {
    process.stderr.write(`romana: ${error instanceof Error ? error.message : String(error)}; ending now\n`);
    process.abort();
  }
}

/** The inode number that identifies a network namespace, of the file at `path` or, without it, of this thread's own. */
export function netnsInode(path: string = OWN): number {
  return statSync(path).ino;
}

/** Opens a network namespace's file, for as long as `use` takes, so that it can't be swapped in between. */
export function withNetnsFd<T>(path: string, use: (fd: number, inode: number) => T): T {
  const fd = openSync(path, 'r');
  try {
    return use(fd, fstatSync(fd).ino);
  } finally {
    closeSync(fd);
  }
}

/**
 * The namespace that `path` leads to, as "device:inode": the same for every path to it for as long as it lasts. A path
 * whose mount is gone leads to an ordinary file, which is another one. Undefined when nothing is there.
 *
 * @throws the error of the file system, other than that nothing is there.
 */
export function netnsId(path: string): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? undefined : `${found.dev}:${found.ino}`;
}
