import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../run-command.ts';

/** What the image is made of, in the checkout; its packages are Debian's. */
const PARTS = ['bin', 'deploy', 'image', 'launcher', 'package-lock.json', 'package.json', 'src'];

/** How long an image that is no longer of the checkout is kept, in milliseconds. */
const KEPT_MS = 24 * 60 * 60 * 1_000;

/** What `provideImage` needs. */
export interface ImageOptions {
  /** The checkout, absolute. */
  readonly checkout: string;
  /** Of the program that makes the image. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Told what is under way. */
  readonly progress: (step: string) => void;
  readonly signal: AbortSignal;
}

/** The archive of Romana's image of this very checkout; makes it if it is not there yet. @returns its path */
export async function provideImage({ checkout, env, progress, signal }: ImageOptions): Promise<string> {
  const folder = join(checkout, '.cache/image/checkouts');
  const archive = join(folder, `romana-${digestOf(checkout)}.tar`);
  if (existsSync(archive)) return archive;
  progress("making Romana's image, about 15 s");
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder)) {
    if (Date.now() - statSync(join(folder, name)).mtimeMs > KEPT_MS) rmSync(join(folder, name));
  }
  const made = `${archive}.${process.pid}`;
  const set = Object.entries(env).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]]));
  await runCommand('sh', [join(checkout, 'image/build.sh'), '--out', made], { env: Object.fromEntries(set), signal });
  renameSync(made, archive);
  return archive;
}

/** A short digest of all that the image is made of: names and contents. */
function digestOf(checkout: string): string {
  const hash = createHash('sha256');
  for (const part of PARTS) {
    const path = join(checkout, part);
    const files = statSync(path).isFile()
      ? [path]
      : readdirSync(path, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile() && !entry.name.endsWith('.test.ts'))
          .map((entry) => join(entry.parentPath, entry.name))
          .toSorted();
    for (const file of files)
      hash
        .update(`${file.slice(checkout.length)}\0`)
        .update(readFileSync(file))
        .update('\0');
  }
  return hash.digest('hex').slice(0, 16);
}
