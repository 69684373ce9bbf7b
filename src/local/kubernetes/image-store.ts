import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';

import type { Log } from '../../lib/log.ts';
import {
  type BlobPlace,
  fileStamp,
  type ImageArchive,
  type NamedManifest,
  readImageArchive,
  sameFile,
} from './image-archive.ts';

/** A blob whose file is open; whoever has it closes `fd`. */
export interface OpenBlob extends BlobPlace {
  readonly fd: number;
}

/** A file is put in the place of another only so often between being found and being opened. */
const MAX_LOOKS = 5;

/**
 * The images of the OCI archives (`*.tar`) in some directories, as they are at each call: archives that appear, change
 * or go are noticed then. Where two archives hold the same name, the newer archive's is meant.
 */
export class ImageStore {
  readonly #directories: readonly string[];
  readonly #log: Log;
  /** By path, the newest last; undefined for those that can't be read. */
  #archives = new Map<string, { readonly key: string; readonly archive: ImageArchive | undefined }>();

  constructor(options: { readonly directories: readonly string[]; readonly log: Log }) {
    this.#directories = options.directories;
    this.#log = options.log;
  }

  /** What the full name `docker.io/library/nginx:latest` leads to, if there is such an image. */
  find(name: string): NamedManifest | undefined {
    for (const [, archive] of this.#newestFirst()) {
      const manifest = archive.names.get(name);
      if (manifest !== undefined) return manifest;
    }
    return undefined;
  }

  /** Opens the blob `digest`, if there is one. */
  open(digest: string): OpenBlob | undefined {
    for (let look = 0; look < MAX_LOOKS; look += 1) {
      const found = this.#newestFirst().find(([, archive]) => archive.blobs.has(digest));
      const place = found?.[1].blobs.get(digest);
      if (found === undefined || place === undefined) return undefined;
      const [path, archive] = found;
      const fd = openIfThere(path);
      if (fd === undefined) continue;
      if (sameFile(fileStamp(fd), archive.stamp)) return { fd, ...place };
      closeSync(fd);
    }
    throw new Error(`the archive that holds ${digest} changed ${MAX_LOOKS} times while it was being opened`);
  }

  /** The whole of the blob `digest`, if there is one of at most `limit` bytes. */
  read(digest: string, limit: number): Buffer | undefined {
    const blob = this.open(digest);
    if (blob === undefined) return undefined;
    try {
      if (blob.size > limit) return undefined;
      const content = Buffer.alloc(blob.size);
      readSync(blob.fd, content, 0, blob.size, blob.offset);
      return content;
    } finally {
      closeSync(blob.fd);
    }
  }

  #newestFirst(): (readonly [string, ImageArchive])[] {
    this.#look();
    return [...this.#archives]
      .flatMap(([path, { archive }]) => (archive === undefined ? [] : [[path, archive] as const]))
      .toReversed();
  }

  /** Brings `#archives` up to date, reading only what changed. */
  #look(): void {
    const files = this.#directories
      .flatMap(tarsIn)
      .sort((a, b) => (a.mtimeNs === b.mtimeNs ? (a.path < b.path ? -1 : 1) : a.mtimeNs < b.mtimeNs ? -1 : 1));
    this.#archives = new Map(
      files.map(({ path, key }) => {
        const known = this.#archives.get(path);
        return [path, known?.key === key ? known : { key, archive: this.#read(path) }];
      }),
    );
  }

  #read(path: string): ImageArchive | undefined {
    try {
      const archive = readImageArchive(path);
      this.#log.info({ path, names: [...archive.names.keys()] }, 'read an image archive');
      return archive;
    } catch (error) {
      this.#log.warn({ path, err: error }, 'could not read an image archive; its images are left out');
      return undefined;
    }
  }
}

function tarsIn(directory: string): { path: string; mtimeNs: bigint; key: string }[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith('.tar'))
    .flatMap((name) => {
      const path = join(directory, name);
      const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
      if (stat?.isFile() !== true) return [];
      return [{ path, mtimeNs: stat.mtimeNs, key: `${stat.ino} ${stat.mtimeNs} ${stat.size}` }];
    });
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
