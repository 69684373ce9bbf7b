import { isNotFound, type KubeClient } from './client.ts';
import { err, ok, type Result } from '../lib/result.ts';
import { isJsonObject } from '../objects/field.ts';
import * as resources from '../objects/resources.ts';
import type { Resource } from '../objects/resources.ts';

const KNOWN: readonly Resource[] = Object.values(resources).filter((value) => typeof value === 'object');

/** The resource of a kind that we know without asking. */
export function knownResource(apiVersion: string, kind: string): Resource | undefined {
  return KNOWN.find((r) => r.kind === kind && resources.apiVersionOf(r) === apiVersion);
}

/** The resource of any kind that the cluster serves; other kinds than our own are looked up in its discovery. */
export async function findResource(
  client: Pick<KubeClient, 'raw'>,
  apiVersion: string,
  kind: string,
): Promise<Result<Resource>> {
  const known = knownResource(apiVersion, kind);
  if (known !== undefined) return ok(known);
  const slash = apiVersion.indexOf('/');
  const unknown = err(`the cluster serves no ${kind} of ${apiVersion}`);
  let found: unknown;
  try {
    found = await client.raw('GET', slash === -1 ? `/api/${apiVersion}` : `/apis/${apiVersion}`);
  } catch (error) {
    if (isNotFound(error)) return unknown;
    throw error;
  }
  const served = isJsonObject(found) && Array.isArray(found['resources']) ? (found['resources'] as unknown[]) : [];
  for (const entry of served) {
    if (!isJsonObject(entry)) continue;
    const { name, kind: entryKind, namespaced } = entry;
    if (entryKind !== kind || typeof name !== 'string' || name.includes('/')) continue;
    const group = slash === -1 ? '' : apiVersion.slice(0, slash);
    return ok({ group, version: apiVersion.slice(slash + 1), plural: name, kind, namespaced: namespaced === true });
  }
  return unknown;
}
