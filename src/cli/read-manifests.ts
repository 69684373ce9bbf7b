import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { err, ok, type Result } from '../lib/result.ts';
import { describe, isJsonObject, type JsonObject } from '../objects/field.ts';

/** One object of a file, and where it was found. */
export interface Manifest {
  /** `pods.yaml, document 2`, `- , document 1, items[0]`: for messages. */
  readonly where: string;
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
function expand(where: string, document: unknown): Result<readonly Manifest[]> {
  if (!isJsonObject(document)) return err(`${where}: must be an object, found ${describe(document)}`);
  const { kind, items } = document;
  if (typeof kind !== 'string' || !kind.endsWith('List') || !Array.isArray(items))
    return ok([{ where, object: document }]);
  const manifests: Manifest[] = [];
  for (const [i, item] of (items as readonly unknown[]).entries()) {
    const inner = expand(`${where}, items[${i}]`, item);
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

/** The documents of a text: one of JSON, or any number of YAML (1.2, where `on` is a word and no boolean). */
export function parseManifests(source: string, text: string): Result<readonly Manifest[]> {
  const json = parseJson(text);
  if (json !== undefined) return expand(source, json);
  const documents = parseAllDocuments(text, { prettyErrors: true });
  const manifests: Manifest[] = [];
  for (const [i, document] of (Array.isArray(documents) ? documents : []).entries()) {
    const where = documents.length === 1 ? source : `${source}, document ${i + 1}`;
    const [fault] = document.errors;
    // Its first line names line and column; the others show the place.
    if (fault !== undefined) return err(`${where}: ${(fault.message.split('\n')[0] ?? '').replace(/:$/, '')}`);
    let value: unknown;
    try {
      value = document.toJS();
    } catch (error) {
      return err(`${where}: ${(error as Error).message}`);
    }
    // An empty document, as before a first `---`.
    if (value === null || value === undefined) continue;
    const expanded = expand(where, value);
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
      const parsed = parseManifests(source, text);
      if (!parsed.ok) return parsed;
      manifests.push(...parsed.value);
    }
  }
  return manifests.length === 0 ? err(`${files.join(', ')}: no object found`) : ok(manifests);
}
