import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { err, ok, type Result } from '../lib/result.ts';
import { parseSimpleYaml } from '../lib/simple-yaml.ts';
import { describe, isJsonObject, type JsonObject } from '../objects/field.ts';

/** Where the document of an object stands, to find lines in it. */
export interface DocumentPlace {
  /** The file's path; `standard input`. */
  readonly source: string;
  readonly text: string;
  /** The line of the file on which `text` begins, from 1. */
  readonly line: number;
  /** Where in the document the object is: `['items', 0]`. */
  readonly path: readonly (string | number)[];
}

/** One object of a file, and where it was found. */
export interface Manifest {
  /** `pods.yaml, document 2`, `- , document 1, items[0]`: for messages. */
  readonly where: string;
  readonly place: DocumentPlace;
  readonly object: JsonObject;
}

/** Where texts come from. */
export interface ManifestSources {
  /** Files, directories (their *.yaml, *.yml and *.json, in order of their names) and `-` for standard input. */
  readonly files: readonly string[];
  readonly stdin: AsyncIterable<Uint8Array | string>;
}

/** Longer files are refused, in bytes: etcd takes 1.5 MiB an object. */
const MAX_FILE_BYTES = 64 * 2 ** 20;

const MANIFEST_NAME = /\.(ya?ml|json)$/;

async function readAll(stream: AsyncIterable<Uint8Array | string>): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream) {
    const bytes = Buffer.from(chunk as string);
    length += bytes.length;
    if (length > MAX_FILE_BYTES) throw new Error(`is longer than ${MAX_FILE_BYTES} bytes`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString();
}

async function textsOf(path: string, stdin: ManifestSources['stdin']): Promise<readonly [string, string][]> {
  if (path === '-') return [['standard input', await readAll(stdin)]];
  const found = await stat(path);
  if (found.isDirectory()) {
    const names = (await readdir(path)).filter((name) => MANIFEST_NAME.test(name)).toSorted();
    if (names.length === 0) throw new Error('has no *.yaml, *.yml or *.json in it');
    return Promise.all(
      names.map(async (name): Promise<[string, string]> => [
        join(path, name),
        await readFile(join(path, name), 'utf8'),
      ]),
    );
  }
  if (found.size > MAX_FILE_BYTES) throw new Error(`is longer than ${MAX_FILE_BYTES} bytes`);
  return [[path, await readFile(path, 'utf8')]];
}

/** The objects of a list (kind List, or PodList and so on), else the object itself. */
function expand(where: string, place: DocumentPlace, document: unknown): Result<readonly Manifest[]> {
  if (!isJsonObject(document)) return err(`${where}: must be an object, found ${describe(document)}`);
  const { kind, items } = document;
  if (typeof kind !== 'string' || !kind.endsWith('List') || !Array.isArray(items))
    return ok([{ where, place, object: document }]);
  const manifests: Manifest[] = [];
  // Items of an API server's own lists leave out what the list says.
  const type = kind === 'List' ? {} : { apiVersion: document['apiVersion'], kind: kind.slice(0, -'List'.length) };
  for (const [i, written] of (items as readonly unknown[]).entries()) {
    const item = isJsonObject(written) && written['kind'] === undefined ? { ...type, ...written } : written;
    const inner = expand(`${where}, items[${i}]`, { ...place, path: [...place.path, 'items', i] }, item);
    if (!inner.ok) return inner;
    manifests.push(...inner.value);
  }
  return ok(manifests);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** One YAML document: its value, and the text in which it stands. */
interface Document {
  readonly value: unknown;
  readonly text: string;
  readonly line: number;
}

const SEPARATOR = /^---[ \t]*(?:#.*)?\n/m;

/** The documents of a text of simple YAML with separators that are lines of their own; undefined if it is more. */
async function parseSimpleDocuments(text: string): Promise<readonly Document[] | undefined> {
  // Directives, and ends of documents: what then follows is not for splitting.
  if (/^(?:%|\.\.\.)/m.test(text)) return undefined;
  const documents: Document[] = [];
  let line = 1;
  for (const [i, part] of `${text}\n`.split(SEPARATOR).entries()) {
    const simple = parseSimpleYaml(part);
    const read = simple ?? (await parseOneDocument(part));
    if (read === undefined) return undefined;
    const nothing = i === 0 && (read.value === null || read.value === undefined);
    if (!nothing) documents.push({ value: read.value, text: part, line });
    line += part.split('\n').length;
  }
  return documents;
}

/** The value of a text that is one document without faults. */
async function parseOneDocument(text: string): Promise<{ readonly value: unknown } | undefined> {
  // Loaded when needed: that takes longer than to read most manifests.
  const { parseAllDocuments } = await import('yaml');
  const documents = parseAllDocuments(text);
  const [document] = Array.isArray(documents) ? documents : [];
  if (document === undefined || documents.length !== 1 || document.errors.length > 0) return undefined;
  try {
    return { value: document.toJS() };
  } catch {
    return undefined;
  }
}

/** All documents of a text by the whole parser; the error names document, line and column. */
async function parseAnyDocuments(source: string, text: string): Promise<Result<readonly Document[]>> {
  const { parseAllDocuments } = await import('yaml');
  const documents = parseAllDocuments(text, { prettyErrors: true });
  const found: Document[] = [];
  for (const [i, document] of (Array.isArray(documents) ? documents : []).entries()) {
    const where = whereIn(source, documents.length, i);
    const [fault] = document.errors;
    // Its first line names line and column; the others show the place.
    if (fault !== undefined) return err(`${where}: ${(fault.message.split('\n')[0] ?? '').replace(/:$/, '')}`);
    try {
      const [start] = document.range;
      const line = text.slice(0, start).split('\n').length;
      found.push({ value: document.toJS(), text: text.slice(start, document.range[1]), line });
    } catch (error) {
      return err(`${where}: ${(error as Error).message}`);
    }
  }
  return ok(found);
}

function whereIn(source: string, documents: number, i: number): string {
  return documents === 1 ? source : `${source}, document ${i + 1}`;
}

/** The documents of a text: one of JSON, or any number of YAML (1.2, where `on` is a word and no boolean). */
async function parseManifests(source: string, text: string): Promise<Result<readonly Manifest[]>> {
  const json = parseJson(text);
  if (json !== undefined) return expand(source, { source, text, line: 1, path: [] }, json);
  const simple = await parseSimpleDocuments(text);
  const documents = simple === undefined ? await parseAnyDocuments(source, text) : ok(simple);
  if (!documents.ok) return documents;
  const manifests: Manifest[] = [];
  for (const [i, { value, ...place }] of documents.value.entries()) {
    // An empty document, as before a first `---`.
    if (value === null || value === undefined) continue;
    const where = whereIn(source, documents.value.length, i);
    const expanded = expand(where, { source, ...place, path: [] }, value);
    if (!expanded.ok) return expanded;
    manifests.push(...expanded.value);
  }
  return ok(manifests);
}

/** All objects of all sources, in order; the error is one line that names the file, the document and the fault. */
export async function readManifests({ files, stdin }: ManifestSources): Promise<Result<readonly Manifest[]>> {
  const manifests: Manifest[] = [];
  for (const path of files) {
    let texts: readonly [string, string][];
    try {
      texts = await textsOf(path, stdin);
    } catch (error) {
      return err(`${path}: cannot be read: ${(error as Error).message}`);
    }
    for (const [source, text] of texts) {
      const parsed = await parseManifests(source, text);
      if (!parsed.ok) return parsed;
      manifests.push(...parsed.value);
    }
  }
  return manifests.length === 0 ? err(`${files.join(', ')}: no object found`) : ok(manifests);
}
