import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { isJsonObject, type JsonObject } from '../../objects/field.ts';

/** The manifests in deploy/, as JSON and in their order. */
export interface DeployManifests {
  /** All that an installation is: CustomResourceDefinitions first. */
  readonly base: readonly JsonObject[];
  /** The demo's tenants. */
  readonly demo: readonly JsonObject[];
}

/** The tenants of the demo; its pods and its policy come with its steps. */
const DEMO_FILES = ['tenant-a.yaml', 'tenant-b.yaml'];

/**
 * Reads the manifests that come with the program.
 *
 * @param directory deploy/ of the program.
 * @throws Error when they are not there, or no YAML.
 */
export async function readDeployManifests(directory: string): Promise<DeployManifests> {
  const demo = await Promise.all(DEMO_FILES.map((file) => readObjects(join(directory, 'demo', file))));
  return { base: await readBase(join(directory, 'base')), demo: demo.flat() };
}

/** The objects of a kustomization that only lists resources: files, and folders with such a kustomization. */
async function readBase(folder: string): Promise<readonly JsonObject[]> {
  const file = await firstFile([join(folder, 'kustomization.yaml'), join(folder, 'Kustomization')]);
  const kustomization: unknown = parse(await readFile(file, 'utf8'));
  const resources = isJsonObject(kustomization) ? kustomization['resources'] : undefined;
  if (!Array.isArray(resources)) throw new Error(`${file} lists no resources`);
  const parts = resources.map(async (name: unknown) => {
    const path = join(folder, String(name));
    return (await stat(path)).isDirectory() ? readBase(path) : readObjects(path);
  });
  return (await Promise.all(parts)).flat();
}

async function firstFile(paths: readonly string[]): Promise<string> {
  for (const path of paths) {
    const found = await stat(path).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  throw new Error(`there is no ${paths.join(' or ')}`);
}

async function readObjects(file: string): Promise<readonly JsonObject[]> {
  const documents = parseAllDocuments(await readFile(file, 'utf8'));
  if ('empty' in documents) throw new Error(`${file} is empty`);
  return documents.map((document) => {
    const json: unknown = document.errors.length > 0 ? undefined : document.toJS();
    if (!isJsonObject(json))
      throw new Error(`${file} holds no objects: ${document.errors[0]?.message ?? 'no mapping'}`);
    return json;
  });
}
