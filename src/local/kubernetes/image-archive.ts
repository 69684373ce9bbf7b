import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

import { fullImageName } from './image-name.ts';
import { tarEntries } from './tar-entries.ts';

/** Where a blob's bytes lie in an archive. */
export interface BlobPlace {
  readonly offset: number;
  readonly size: number;
}

/** What an image's name leads to. */
export interface NamedManifest {
  readonly mediaType: string;
  /** `sha256:` and 64 hexadecimal digits. */
  readonly digest: string;
}

/** What a file was when it was looked at; a file that was put in its place differs. */
export interface FileStamp {
  readonly inode: bigint;
  readonly mtimeNs: bigint;
  readonly size: bigint;
}

/** The contents of an OCI image layout in a tar (image-spec, image-layout.md), without the blobs' bytes. */
export interface ImageArchive {
  readonly stamp: FileStamp;
  /** By full name, as `docker.io/library/nginx:latest`. */
  readonly names: ReadonlyMap<string, NamedManifest>;
  /** By digest. */
  readonly blobs: ReadonlyMap<string, BlobPlace>;
}

const BLOB = /^blobs\/sha256\/([0-9a-f]{64})$/;
/** containerd's annotation for the whole name; where it is missing, OCI's own for at least the tag. */
const NAMES = ['io.containerd.image.name', 'org.opencontainers.image.ref.name'];
const MAX_INDEX_BYTES = 4 << 20;

/**
 * Reads which images the tar at `path` holds.
 *
 * @throws Error that names `path`, where that is no OCI image layout.
 */
export function readImageArchive(path: string): ImageArchive {
  const fd = openSync(path, 'r');
  try {
    const blobs = new Map<string, BlobPlace>();
    let index: unknown;
    for (const { name, offset, size } of tarEntries(fd)) {
      const hex = BLOB.exec(name)?.[1];
      if (hex !== undefined) blobs.set(`sha256:${hex}`, { offset, size });
      else if (name === 'index.json') index = JSON.parse(readText(fd, offset, size));
    }
    if (index === undefined) throw new Error('there is no index.json in it');
    return { stamp: fileStamp(fd), names: readNames(index), blobs };
  } catch (error) {
    throw new Error(`${path} is no OCI image archive: ${(error as Error).message}`, { cause: error });
  } finally {
    closeSync(fd);
  }
}

/** The stamp of the file that is open as `fd`. */
export function fileStamp(fd: number): FileStamp {
  const { ino, mtimeNs, size } = fstatSync(fd, { bigint: true });
  return { inode: ino, mtimeNs, size };
}

/** Whether both stamps are of the very same file, unchanged. */
export function sameFile(a: FileStamp, b: FileStamp): boolean {
  return a.inode === b.inode && a.mtimeNs === b.mtimeNs && a.size === b.size;
}

function readText(fd: number, offset: number, size: number): string {
  if (size > MAX_INDEX_BYTES) throw new Error(`index.json has ${size} bytes, more than ${MAX_INDEX_BYTES}`);
  const buffer = Buffer.alloc(size);
  if (readSync(fd, buffer, 0, size, offset) < size) throw new Error('it ends in the middle of index.json');
  return buffer.toString('utf8');
}

function readNames(index: unknown): Map<string, NamedManifest> {
  const names = new Map<string, NamedManifest>();
  const manifests = (index as { manifests?: unknown } | null)?.manifests;
  if (!Array.isArray(manifests)) throw new Error('its index.json has no manifests');
  for (const manifest of manifests as Record<string, unknown>[]) {
    const annotations = (manifest['annotations'] ?? {}) as Record<string, unknown>;
    const name = NAMES.map((key) => annotations[key]).find((value) => typeof value === 'string');
    const { mediaType, digest } = manifest;
    if (typeof mediaType !== 'string' || typeof digest !== 'string') {
      throw new TypeError('a manifest in its index.json has no mediaType or no digest');
    }
    if (name !== undefined) names.set(fullImageName(name), { mediaType, digest });
  }
  return names;
}
