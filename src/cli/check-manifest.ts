import { err, ok, type Result } from '../lib/result.ts';
import { parseClusterNetworkPolicy } from '../objects/cluster-network-policy.ts';
import { isLegacyDemo, parseDemoPolicy, toModern } from '../objects/demo-policy.ts';
import { isJsonObject, type JsonObject } from '../objects/field.ts';
import { parseHost } from '../objects/host.ts';
import { formatFieldErrors, type FieldError, type Parsed } from '../objects/meta.ts';
import { parseNamespace } from '../objects/namespace.ts';
import { parseNetwork } from '../objects/network.ts';
import { parseNetworkPolicy } from '../objects/network-policy.ts';
import { parsePod } from '../objects/pod.ts';
import { refuseInvalid } from '../objects/policy-fault.ts';
import { refusal } from '../objects/refused.ts';
import type { Manifest } from './read-manifests.ts';

/** An object whose type and name are known, as it goes to an API server. */
export interface Named {
  readonly where: string;
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  /** As the object says; undefined when it does not. */
  readonly namespace: string | undefined;
  /** In today's form, if it was a policy of 2016. */
  readonly object: JsonObject;
}

function parseNamespaceStrictly(json: unknown): Parsed<unknown> {
  const parsed = parseNamespace(json);
  return parsed.ok && parsed.value.problems.length > 0 ? err(parsed.value.problems) : parsed;
}

/** What we know more of than that it is an object. */
const PARSERS: ReadonlyMap<string, (json: unknown) => Parsed<unknown>> = new Map([
  ['v1 Namespace', parseNamespaceStrictly],
  ['v1 Pod', parsePod],
  ['romana.io/v1 Network', parseNetwork],
  ['romana.io/v1 Host', parseHost],
  ['demo.romana.io/v1 NetworkPolicy', parseDemoPolicy],
  ['networking.k8s.io/v1 NetworkPolicy', (json) => refuseInvalid(parseNetworkPolicy(json))],
  ['policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy', (json) => refuseInvalid(parseClusterNetworkPolicy(json))],
]);

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function identityFaults(object: JsonObject, metadata: JsonObject): readonly FieldError[] {
  const faults: FieldError[] = [];
  for (const field of ['apiVersion', 'kind']) {
    if (textOf(object[field]) === undefined) faults.push({ field, message: 'is required' });
  }
  if (textOf(metadata['name']) === undefined) faults.push({ field: 'metadata.name', message: 'is required' });
  const { namespace } = metadata;
  if (namespace !== undefined && namespace !== null && typeof namespace !== 'string') {
    faults.push({ field: 'metadata.namespace', message: 'must be a string' });
  }
  return faults;
}

/** Reads what every object must say of itself; a demo policy of 2016 comes out in today's form. */
export function nameManifest({ where, object: written }: Manifest): Result<Named> {
  const object = isLegacyDemo(written) ? toModern(written) : written;
  const metadata = isJsonObject(object['metadata']) ? object['metadata'] : {};
  const faults = identityFaults(object, metadata);
  if (faults.length > 0) return err(`${where}: ${formatFieldErrors(faults)}`);
  return ok({
    where,
    apiVersion: textOf(object['apiVersion']) ?? '',
    kind: textOf(object['kind']) ?? '',
    name: textOf(metadata['name']) ?? '',
    namespace: textOf(metadata['namespace']),
    object,
  });
}

/** Why an object can't be applied, as far as that can be said without a server; undefined if nothing is wrong. */
export function faultOf({ where, apiVersion, kind, object }: Named): string | undefined {
  const refused = refusal(object);
  if (refused !== undefined) return `${where}: ${refused}`;
  const parsed = PARSERS.get(`${apiVersion} ${kind}`)?.(object);
  return parsed === undefined || parsed.ok ? undefined : `${where}: ${formatFieldErrors(parsed.error)}`;
}
