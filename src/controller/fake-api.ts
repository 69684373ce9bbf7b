import { ApiError } from '../kube/client.ts';
import { unwrap } from '../lib/result.ts';
import { isJsonObject, type JsonObject } from '../objects/field.ts';
import { parseHostReport } from '../objects/host-report.ts';
import { parseHost } from '../objects/host.ts';
import { qualifiedName, type Parsed } from '../objects/meta.ts';
import { parseNamespace } from '../objects/namespace.ts';
import { parseNode } from '../objects/node.ts';
import { parsePod } from '../objects/pod.ts';
import {
  apiVersionOf,
  HOST_REPORTS,
  HOSTS,
  NAMESPACES,
  NETWORKS,
  NODES,
  PODS,
  TENANTS,
  type Resource,
} from '../objects/resources.ts';
import { parseTenant } from '../objects/tenant.ts';
import type { Policy } from '../policy/model.ts';
import type { WriteClient } from './apply.ts';
import { ID_CLAIMS, parseIdClaim } from './id-claim.ts';
import { parseObservedNetwork } from './network-status.ts';
import type { ClusterState } from './state.ts';

/**
 * The API server as the tests of the pure part need it: objects with uid and resourceVersion, and the preconditions
 * on writes. `src/local/apiserver` is the one with everything.
 */
export class FakeApi implements WriteClient {
  readonly #objects = new Map<string, Map<string, JsonObject>>();
  #version = 0;
  policies: Policy[] = [];

  async get(resource: Resource, name: string, namespace = ''): Promise<unknown> {
    return this.#find(resource, namespace, name);
  }

  async create(resource: Resource, object: object, namespace = ''): Promise<unknown> {
    const { name } = metadataOf(object);
    const key = qualifiedName({ namespace, name });
    const kind = this.#kind(resource);
    if (kind.has(key)) throw new ApiError({ status: 409, reason: 'AlreadyExists', message: `${key} is there` });
    const version = String(++this.#version);
    const metadata = { ...metadataOf(object), ...(namespace === '' ? {} : { namespace }), uid: `uid-${version}` };
    const stored = {
      apiVersion: apiVersionOf(resource),
      kind: resource.kind,
      ...object,
      metadata: { ...metadata, resourceVersion: version },
    };
    kind.set(key, stored);
    return stored;
  }

  async patch(resource: Resource, name: string, patch: object, options: { namespace?: string } = {}): Promise<unknown> {
    const { namespace = '' } = options;
    const before = this.#find(resource, namespace, name);
    const wanted = 'metadata' in patch ? metadataOf(patch) : undefined;
    check(before, wanted?.['resourceVersion'], wanted?.['uid']);
    const merged = merge(before, patch);
    if (!isJsonObject(merged)) throw new TypeError('a patch left no object');
    const stored = { ...merged, metadata: { ...metadataOf(merged), resourceVersion: String(++this.#version) } };
    this.#kind(resource).set(qualifiedName({ namespace, name }), stored);
    return stored;
  }

  async delete(
    resource: Resource,
    name: string,
    options: { namespace?: string; uid?: string; resourceVersion?: string } = {},
  ): Promise<unknown> {
    const { namespace = '' } = options;
    const before = this.#find(resource, namespace, name);
    check(before, options.resourceVersion, options.uid);
    this.#version++;
    this.#kind(resource).delete(qualifiedName({ namespace, name }));
    return before;
  }

  /** All objects of a kind as they are now. */
  list(resource: Resource): readonly JsonObject[] {
    return [...this.#kind(resource).values()];
  }

  /** What a controller that sees everything at once would know. */
  state(): ClusterState {
    return {
      network: this.read(NETWORKS, parseObservedNetwork).get('default'),
      nodes: this.read(NODES, parseNode),
      namespaces: this.read(NAMESPACES, parseNamespace),
      pods: this.read(PODS, parsePod),
      policies: [...this.policies],
      hosts: this.read(HOSTS, parseHost),
      tenants: this.read(TENANTS, parseTenant),
      reports: this.read(HOST_REPORTS, parseHostReport),
      claims: this.read(ID_CLAIMS, parseIdClaim),
      unreadable: new Set(),
    };
  }

  /** The objects of one kind, parsed. */
  read<T>(resource: Resource, parse: (json: unknown) => Parsed<T>): ReadonlyMap<string, T> {
    return new Map([...this.#kind(resource)].map(([key, json]) => [key, unwrap(parse(json))]));
  }

  #kind(resource: Resource): Map<string, JsonObject> {
    const key = `${resource.group}/${resource.plural}`;
    const found = this.#objects.get(key) ?? new Map<string, JsonObject>();
    this.#objects.set(key, found);
    return found;
  }

  #find(resource: Resource, namespace: string, name: string): JsonObject {
    const found = this.#kind(resource).get(qualifiedName({ namespace, name }));
    if (found === undefined) throw new ApiError({ status: 404, reason: 'NotFound', message: `no ${name}` });
    return found;
  }
}

function check(before: JsonObject, resourceVersion: unknown, uid: unknown): void {
  const metadata = metadataOf(before);
  if (
    (resourceVersion ?? metadata['resourceVersion']) === metadata['resourceVersion'] &&
    (uid ?? metadata['uid']) === metadata['uid']
  )
    return;
  throw new ApiError({ status: 409, reason: 'Conflict', message: 'the object has changed' });
}

function metadataOf(object: object): JsonObject & { name: string } {
  const { metadata } = object as { metadata: JsonObject & { name: string } };
  return metadata;
}

/** RFC 7396. */
function merge(target: unknown, patch: unknown): unknown {
  if (!isJsonObject(patch)) return patch;
  const merged: Record<string, unknown> = isJsonObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key];
    else merged[key] = merge(merged[key], value);
  }
  return merged;
}
