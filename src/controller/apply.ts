import { isConflict, isNotFound, type KubeClient } from '../kube/client.ts';
import type { Clock } from '../lib/clock.ts';
import { parseHostReport } from '../objects/host-report.ts';
import { parseHost } from '../objects/host.ts';
import { parsePod } from '../objects/pod.ts';
import type { Meta, Parsed } from '../objects/meta.ts';
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
import { Field, isJsonObject } from '../objects/field.ts';
import { claimName, type IdClaim, ID_CLAIMS, idClaimToJson, parseIdClaim } from '../objects/id-claim.ts';
import { NETWORK_UNAVAILABLE } from './node-network.ts';
import { networkStatusToJson } from './network-status.ts';
import { takesAddress } from './named-segments.ts';
import { isOver } from './releases.ts';
import { NAMESPACE_UID_ANNOTATION, type Action, type Agents, type HostSpec } from './state.ts';

/** What was written of a list of actions. */
export interface Applied {
  readonly done: readonly Action[];
  /** Actions that rest on something that is no longer so; another look at the cluster decides what comes of them. */
  readonly outdated: readonly Action[];
}

/** The part of the API that writes use. */
export type WriteClient = Pick<KubeClient, 'get' | 'list' | 'create' | 'patch' | 'delete'>;

/**
 * Makes the writes, one after the other, until `signal` is aborted. Every one carries what it rests on as a
 * precondition, so one that comes too late, by whatever leader, changes nothing. Throws what else goes wrong.
 */
export async function applyActions(
  client: WriteClient,
  clock: Clock,
  actions: readonly Action[],
  signal: AbortSignal,
): Promise<Applied> {
  const done: Action[] = [];
  const outdated: Action[] = [];
  const agents = new FreshAgents(client);
  for (const action of actions) {
    signal.throwIfAborted();
    try {
      const current = (await agents.confirm(action)) && (await applyOne(client, clock, action));
      (current ? done : outdated).push(action);
    } catch (error) {
      if (!isConflict(error) && !isNotFound(error)) {
        throw new Error(`cannot ${describeAction(action)}`, { cause: error });
      }
      outdated.push(action);
    }
  }
  return { done, outdated };
}

/**
 * Confirms by the API server itself what an action frees: our copy of who there is may be older than the one of what
 * they acknowledge. Reads at most once; an acknowledgement is never taken back in the life of a release.
 */
class FreshAgents {
  readonly #client: WriteClient;
  #agents: Promise<Agents> | undefined;

  constructor(client: WriteClient) {
    this.#client = client;
  }

  async confirm(action: Action): Promise<boolean> {
    if (!('frees' in action) || action.frees === undefined) return true;
    const releases = [action.frees].flat();
    if (releases.length === 0) return true;
    this.#agents ??= this.#read();
    const agents = await this.#agents;
    return releases.every((release) => isOver(release, agents));
  }

  async #read(): Promise<Agents> {
    const [hosts, reports] = await Promise.all([this.#client.list(HOSTS), this.#client.list(HOST_REPORTS)]);
    const parsedHosts = hosts.items.map(parseHost);
    const parsedReports = reports.items.map(parseHostReport);
    return {
      hosts: byName(parsedHosts),
      reports: byName(parsedReports),
      agentsReadable: [...parsedHosts, ...parsedReports].every(({ ok }) => ok),
    };
  }
}

function byName<T extends { readonly meta: Meta }>(objects: readonly Parsed<T>[]): ReadonlyMap<string, T> {
  return new Map(objects.flatMap((parsed) => (parsed.ok ? [[parsed.value.meta.name, parsed.value]] : [])));
}

/** An action in words, for logs: "give tenant id 3 to tenant-a". */
export function describeAction(action: Action): string {
  switch (action.kind) {
    case 'create-claim':
      return `claim ${action.claim.kind.toLowerCase()} id ${action.claim.id} for ${action.claim.holder.name}`;
    case 'release-claim':
      return `release ${action.claim.kind.toLowerCase()} id ${action.claim.id} of ${action.claim.holder.name}`;
    case 'keep-claim':
      return `leave ${action.claim.kind.toLowerCase()} id ${action.claim.id} to ${action.claim.holder.name}`;
    case 'delete-claim':
      return `free the id of claim ${action.meta.name}`;
    case 'create-host':
      return `make host ${action.name} with id ${action.spec.id}`;
    case 'update-host':
      return `update host ${action.meta.name}`;
    case 'delete-host':
      return `remove host ${action.host.meta.name} with id ${action.host.id}`;
    case 'create-tenant':
      return `make tenant ${action.namespace.name}`;
    case 'set-tenant':
      return `set the ids of tenant ${action.meta.name}`;
    case 'delete-tenant':
      return `remove tenant ${action.meta.name}`;
    case 'set-node-network':
      return action.condition.status === 'False'
        ? `tell that node ${action.node.name} has its network`
        : `tell that node ${action.node.name} has no network: ${action.condition.message}`;
    case 'set-network-status':
      return `set the status of network ${action.network.meta.name}`;
  }
}

/** @returns false when the API server knows better than our copy of it, and nothing was written. */
async function applyOne(client: WriteClient, clock: Clock, action: Action): Promise<boolean> {
  switch (action.kind) {
    case 'create-claim':
      await client.create(ID_CLAIMS, idClaimToJson(action.claim));
      return true;
    case 'release-claim': {
      const { meta } = action.claim;
      if (!(await isHolderGone(client, action.claim))) return false;
      await client.patch(ID_CLAIMS, meta.name, { metadata: version(meta), spec: { released: true } });
      return true;
    }
    case 'keep-claim': {
      const { meta } = action.claim;
      await client.patch(ID_CLAIMS, meta.name, { metadata: version(meta), spec: { released: false } });
      return true;
    }
    case 'delete-claim':
      return remove(client, ID_CLAIMS, action.meta);
    case 'create-host': {
      const metadata = { name: action.name };
      await client.create(HOSTS, { ...typeOf(HOSTS), metadata, spec: hostSpecToJson(action.spec) });
      return true;
    }
    case 'update-host':
      await client.patch(HOSTS, action.meta.name, {
        metadata: version(action.meta),
        spec: { ...hostSpecToJson(action.spec), labels: labelsPatch(action.before, action.spec) },
      });
      return true;
    case 'delete-host':
      if (await isJustified(client, action)) return remove(client, HOSTS, action.host.meta);
      return false;
    case 'create-tenant': {
      const { name, uid } = action.namespace;
      const metadata = { name, annotations: { [NAMESPACE_UID_ANNOTATION]: uid } };
      await client.create(TENANTS, { ...typeOf(TENANTS), metadata });
      return true;
    }
    case 'set-tenant': {
      const patch = { metadata: version(action.meta), status: action.status };
      await client.patch(TENANTS, action.meta.name, patch, { subresource: 'status' });
      return true;
    }
    case 'delete-tenant': {
      if (action.because === 'better-id') {
        const pods = await client.list(PODS, { namespace: action.meta.name });
        // One that can't be read may have an address all the same.
        const connected = pods.items.map(parsePod).some((pod) => !pod.ok || takesAddress(pod.value));
        return !connected && remove(client, TENANTS, action.meta);
      }
      const namespace = action.meta.annotations.get(NAMESPACE_UID_ANNOTATION);
      const found = await uidOf(client, NAMESPACES, action.meta.name);
      if (found !== undefined && (namespace === undefined || found === namespace)) return false;
      return remove(client, TENANTS, action.meta);
    }
    case 'set-node-network':
      return setNodeNetwork(client, clock, action);
    case 'set-network-status': {
      const { meta, since } = action.network;
      const status = networkStatusToJson(action.status, since, new Date(clock.now()).toISOString());
      await client.patch(NETWORKS, meta.name, { metadata: version(meta), status }, { subresource: 'status' });
      return true;
    }
  }
}

/** Changes one condition of a Node; the others are the kubelet's, so they go back as they were read, or not at all. */
async function setNodeNetwork(
  client: WriteClient,
  clock: Clock,
  { node, condition }: Extract<Action, { kind: 'set-node-network' }>,
): Promise<boolean> {
  const json = await read(client, NODES, node.name);
  const found = Field.root(json);
  const metadata = found.get('metadata');
  if (metadata.get('uid').string('') !== node.uid) return false;
  const now = new Date(clock.now()).toISOString().replace(/\.\d+Z$/, 'Z');
  const conditions = found.get('status').get('conditions').items();
  const before = conditions.find((item) => item.get('type').value === NETWORK_UNAVAILABLE);
  const same = before?.get('status').value === condition.status;
  const changed = {
    type: NETWORK_UNAVAILABLE,
    ...condition,
    lastHeartbeatTime: now,
    lastTransitionTime: (same ? before?.get('lastTransitionTime').string('') : '') || now,
  };
  const others = conditions.filter((item) => item !== before).map(({ value }) => value);
  const patch = {
    metadata: { resourceVersion: metadata.get('resourceVersion').string('') },
    status: { conditions: [...others, changed] },
  };
  await client.patch(NODES, node.name, patch, { subresource: 'status' });
  return true;
}

/** Whether nothing is left of who has claimed an id; of a host, neither its Node nor what its agent has told. */
async function isHolderGone(client: WriteClient, { kind, holder }: IdClaim): Promise<boolean> {
  if (kind === 'Tenant') return (await uidOf(client, TENANTS, holder.name)) !== holder.uid;
  for (const resource of [NODES, HOSTS, HOST_REPORTS]) {
    if ((await read(client, resource, holder.name)) !== undefined) return false;
  }
  return true;
}

async function isJustified(client: WriteClient, action: Extract<Action, { kind: 'delete-host' }>): Promise<boolean> {
  const { id, meta } = action.host;
  if (action.because === 'no-node') return (await read(client, NODES, meta.name)) === undefined;
  const object = await read(client, ID_CLAIMS, claimName('Host', id));
  if (object === undefined) return true;
  const claim = parseIdClaim(object);
  return claim.ok && claim.value.holder.name !== meta.name;
}

async function remove(client: WriteClient, resource: Resource, meta: Meta): Promise<true> {
  await client.delete(resource, meta.name, { uid: meta.uid, resourceVersion: meta.resourceVersion });
  return true;
}

/** The uid of the object of that name as the API server has it now; undefined when there is none. */
async function uidOf(client: WriteClient, resource: Resource, name: string): Promise<string | undefined> {
  const object = await read(client, resource, name);
  if (object === undefined) return undefined;
  const metadata = isJsonObject(object) ? object['metadata'] : undefined;
  const uid = isJsonObject(metadata) ? metadata['uid'] : undefined;
  return typeof uid === 'string' ? uid : '';
}

async function read(client: WriteClient, resource: Resource, name: string): Promise<unknown> {
  try {
    return await client.get(resource, name);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

function typeOf(resource: Resource): { apiVersion: string; kind: string } {
  return { apiVersion: apiVersionOf(resource), kind: resource.kind };
}

function version(meta: Meta): { resourceVersion: string; uid: string } {
  return { resourceVersion: meta.resourceVersion, uid: meta.uid };
}

function hostSpecToJson(spec: HostSpec): object {
  const { id, ranges, addresses, labels } = spec;
  return { id, ranges, addresses, labels: Object.fromEntries(labels) };
}

/** In a merge patch (RFC 7396) only null takes a member away. */
function labelsPatch(before: HostSpec, after: HostSpec): object {
  const gone = [...before.labels.keys()].filter((key) => !after.labels.has(key));
  return { ...Object.fromEntries(gone.map((key) => [key, null])), ...Object.fromEntries(after.labels) };
}
