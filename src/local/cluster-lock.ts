import { linkSync, mkdirSync, readdirSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { err, ok, type Result } from '../lib/result.ts';
import { identify, isAlive, readIdentity } from './process-identity.ts';

/** Held until it is released, or until its process ends. */
export interface Lock {
  release(): void;
}

/** Takes the lock file, so that one `up` or `down` of a cluster runs at a time. Fails when a live process has it. */
export function takeLock(file: string): Result<Lock> {
  mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
  const self = identify(process.pid);
  const mine = `${file}.${process.pid}`;
  writeFileSync(mine, `${self?.pid} ${self?.startTime}\n`);
  try {
    for (let attempt = 0; attempt < 10; attempt += 1) {
      try {
        linkSync(mine, file); // Atomic, and complete from the first moment on.
        sweep(file);
        return ok({ release: () => release(file) });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const holder = readIdentity(file);
      if (holder !== undefined && isAlive(holder)) {
        return err(`process ${holder.pid} is working on this cluster (lock file ${file}); try again when it is done`);
      }
      takeAway(file, mine);
    }
    return err(`can't get the lock file ${file}: it is taken again and again`);
  } finally {
    rmSync(mine, { force: true });
  }
}

/** Removes what processes left beside the file that were killed while they took the lock. */
function sweep(file: string): void {
  const prefix = `${basename(file)}.`;
  for (const name of readdirSync(dirname(file)).filter((each) => each.startsWith(prefix))) {
    const path = join(dirname(file), name);
    const writer = readIdentity(path) ?? identify(Number.parseInt(name.slice(prefix.length), 10));
    if (writer === undefined || !isAlive(writer)) rmSync(path, { force: true });
  }
}

/** Removes a dead process's lock, by a name of our own so that a new holder's is never removed unseen. */
function takeAway(file: string, mine: string): void {
  const aside = `${mine}.stale`;
  try {
    renameSync(file, aside);
    const holder = readIdentity(aside);
    if (holder !== undefined && isAlive(holder)) linkSync(aside, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}

function release(file: string): void {
  rmSync(file, { force: true });
  try {
    rmdirSync(dirname(file));
  } catch {
    // Clusters or other locks are there.
  }
}
