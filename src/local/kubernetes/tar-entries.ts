import { readSync } from 'node:fs';

/** A regular file in a tar: where its content lies. */
export interface TarEntry {
  readonly name: string;
  /** Offset of the content in the tar, in bytes. */
  readonly offset: number;
  /** Length of the content, in bytes. */
  readonly size: number;
}

const BLOCK = 512;
const NAME = { start: 0, end: 100 };
const SIZE = { start: 124, end: 136 };
const CHECKSUM = { start: 148, end: 156 };
const TYPE = 156;
const PREFIX = { start: 345, end: 500 };
const REGULAR = new Set([0, '0'.charCodeAt(0)]);
/** Bounds the walk: an image has a file per layer and a few more. */
const MAX_ENTRIES = 10_000;

/**
 * The regular files of the tar that is open as `fd`, in order, without reading their contents. Plain headers only, as
 * POSIX 1003.1 (ustar) lays them out: extended ones (pax, GNU) are passed over, since names in an OCI image layout
 * have at most 77 characters and no blob here is beyond 8 GiB.
 *
 * @throws Error where a header is not one, or the tar ends too soon.
 */
export function tarEntries(fd: number): TarEntry[] {
  const entries: TarEntry[] = [];
  const header = Buffer.alloc(BLOCK);
  let offset = 0;
  for (let count = 0; ; count += 1) {
    if (count === MAX_ENTRIES) throw new Error(`the tar has more than ${MAX_ENTRIES} entries`);
    const read = readSync(fd, header, 0, BLOCK, offset);
    if (read === 0 && offset > 0) return entries; // the closing blocks may be missing
    if (read < BLOCK) throw new Error(`the tar ends in the middle of the header at byte ${offset}`);
    if (header.every((byte) => byte === 0)) return entries;
    const entry = parseHeader(header, offset);
    if (entry.regular) entries.push({ name: entry.name, offset: offset + BLOCK, size: entry.size });
    offset += BLOCK + Math.ceil(entry.size / BLOCK) * BLOCK;
  }
}

function parseHeader(header: Buffer, offset: number): { name: string; size: number; regular: boolean } {
  let sum = 0;
  for (const [at, byte] of header.entries()) {
    sum += at >= CHECKSUM.start && at < CHECKSUM.end ? 0x20 : byte;
  }
  if (Number.parseInt(text(header, CHECKSUM), 8) !== sum) throw new Error(`no tar header at byte ${offset}`);
  const size = Number.parseInt(text(header, SIZE), 8);
  if (!Number.isSafeInteger(size) || size < 0) throw new Error(`the tar header at byte ${offset} has no size`);
  const prefix = header.toString('latin1', 257, 262) === 'ustar' ? text(header, PREFIX) : '';
  const name = (prefix === '' ? '' : `${prefix}/`) + text(header, NAME);
  return { name: name.replace(/^\.\//, ''), size, regular: REGULAR.has(header[TYPE] ?? 0) };
}

function text(header: Buffer, { start, end }: { start: number; end: number }): string {
  const zero = header.indexOf(0, start);
  return header.toString('utf8', start, zero === -1 || zero > end ? end : zero).trim();
}
