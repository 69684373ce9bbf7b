import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Log } from '../lib/log.ts';
import { identityOf, keyOf } from './json.ts';

/** Where a reflector keeps what it holds for the next life of its process. Nothing of it fails or waits. */
export interface KeptCopy {
  /** The objects as they were kept last; undefined when there is no whole list of them. */
  recall(): readonly unknown[] | undefined;
  /** A list begins to come in; what was noted of one before that failed is nothing. */
  begin(): void;
  /** Takes an object of the list. */
  note(object: unknown): void;
  /** The list is complete: the last `count` objects that were noted are all there are. */
  complete(count: number): void;
  /** An object appeared or changed. */
  put(object: unknown): void;
  /** An object went. */
  remove(object: unknown): void;
}

/** What `FileCopy` is given. */
export interface FileCopyOptions {
  /** The file; its folder is made for root alone. */
  readonly path: string;
  /** What is kept of an object: enough to parse it to the same, and no more. */
  readonly slim: (object: unknown) => unknown;
  /** A list of more objects is not kept. */
  readonly maxObjects: number;
  readonly log: Log;
}

/** One line of the file. */
type Line = { readonly put: unknown } | { readonly gone: string } | { readonly list: number };

/** Lists are written in pieces of so many characters. */
const PIECE = 65_536;
/** So many changes more than there are objects, and the file is written anew. */
const SPARE_LINES = 1_000;

/**
 * A copy in a file of JSON lines: the objects of a list, how many they are, then each change, appended before anybody
 * acts on it. So the file is never behind what its process has done, whenever that dies; half a line at the end was
 * not acted on. Meant for a file system in memory: nothing is synced. What the disk refuses ends the copy, not the
 * caller.
 */
export class FileCopy implements KeptCopy {
  readonly #o: FileCopyOptions;
  /** Of the copy in force; undefined while nothing can be appended to it. */
  #file: number | undefined;
  /** Of the list that is coming in. */
  #coming: { readonly file: number; text: string } | undefined;
  #objects = 0;
  #changes = 0;

  constructor(options: FileCopyOptions) {
    this.#o = options;
  }

  recall(): readonly unknown[] | undefined {
    try {
      return readCopy(readFileSync(this.#o.path, 'utf8'));
    } catch {
      return undefined; // there is none
    }
  }

  begin(): void {
    this.#guarded(() => {
      if (this.#coming !== undefined) closeSync(this.#coming.file);
      this.#coming = undefined;
      mkdirSync(dirname(this.#o.path), { recursive: true, mode: 0o700 });
      this.#coming = { file: openSync(`${this.#o.path}.new`, 'w', 0o600), text: '' };
    });
  }

  note(object: unknown): void {
    this.#guarded(() => {
      if (this.#coming === undefined) return;
      this.#coming.text += line({ put: this.#o.slim(object) });
      if (this.#coming.text.length >= PIECE) this.#write(this.#coming);
    });
  }

  complete(count: number): void {
    if (count > this.#o.maxObjects) return this.discard();
    this.#guarded(() => {
      const coming = this.#coming;
      if (coming === undefined) return;
      coming.text += line({ list: count });
      this.#write(coming);
      renameSync(`${this.#o.path}.new`, this.#o.path);
      if (this.#file !== undefined) closeSync(this.#file);
      this.#file = coming.file;
      this.#coming = undefined;
      this.#objects = count;
      this.#changes = 0;
    });
  }

  put(object: unknown): void {
    this.#append({ put: this.#o.slim(object) });
  }

  remove(object: unknown): void {
    this.#append({ gone: keyOf(identityOf(object)) });
  }

  /** Forgets the copy. */
  discard(): void {
    this.close();
    try {
      for (const path of [this.#o.path, `${this.#o.path}.new`]) rmSync(path, { force: true });
    } catch (error) {
      this.#o.log.warn({ err: error, path: this.#o.path }, 'could not remove what is kept for the next start');
    }
  }

  /** Ends the writing; the copy stays. */
  close(): void {
    for (const file of [this.#file, this.#coming?.file]) if (file !== undefined) closeSync(file);
    this.#file = undefined;
    this.#coming = undefined;
  }

  #append(change: Line): void {
    if (this.#file === undefined) return;
    this.#guarded(() => {
      if (this.#file !== undefined) writeSync(this.#file, line(change));
      this.#changes += 1;
      if (this.#changes > this.#objects + SPARE_LINES) this.#shorten();
    });
  }

  /** Writes the file anew without what later lines have undone. */
  #shorten(): void {
    const objects = this.recall() ?? [];
    this.begin();
    for (const object of objects) this.note(object);
    this.complete(objects.length);
  }

  #write(coming: { readonly file: number; text: string }): void {
    writeSync(coming.file, coming.text);
    coming.text = '';
  }

  /** A copy that lacks something is none. */
  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#o.log.warn({ err: error, path: this.#o.path }, 'could not keep what is known for the next start');
      this.discard();
    }
  }
}

function line(content: Line): string {
  return `${JSON.stringify(content)}\n`;
}

/** The objects that the lines leave; undefined when no list among them is whole. */
function readCopy(text: string): readonly unknown[] | undefined {
  let noted: unknown[] = [];
  let objects: Map<string, unknown> | undefined;
  // What follows the last line break is empty or half a line.
  for (const words of text.split('\n').slice(0, -1)) {
    const content = JSON.parse(words) as Line;
    if ('list' in content) {
      // A list that the server made begin again was noted from its beginning again.
      const all = content.list === 0 ? [] : noted.slice(-content.list);
      objects = new Map(all.map((object) => [keyOf(identityOf(object)), object]));
      noted = [];
    } else if (objects === undefined) {
      if ('put' in content) noted.push(content.put);
    } else if ('gone' in content) objects.delete(content.gone);
    else objects.set(keyOf(identityOf(content.put)), content.put);
  }
  return objects === undefined ? undefined : [...objects.values()];
}
