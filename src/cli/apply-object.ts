import { isConflict, isNotFound, type KubeClient } from '../kube/client.ts';
import type { Clock } from '../lib/clock.ts';
import { isJsonObject, type JsonObject } from '../objects/field.ts';
import { DEMO_POLICIES, NETWORK_POLICIES, NETWORKS, type Resource } from '../objects/resources.ts';
import type { Named } from './check-manifest.ts';
import { threeWayPatch } from './three-way-patch.ts';

/** An object and where it goes. */
export interface Target extends Named {
  readonly resource: Resource;
  readonly namespace: string | undefined;
}

/** Where kubectl keeps what was applied last; the same, so that both can be used on one object. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** How often an object is read again when somebody else wrote between. */
const MAX_CONFLICTS = 5;

/** How long an object may take to be gone, and between two looks, in milliseconds. */
const GONE_MS = 60_000;
const LOOK_MS = 100;

/** Kinds whose spec is the user's alone, so that what is not in the file goes, even if another tool made the object. */
const OWNED_SPECS: ReadonlySet<Resource> = new Set([DEMO_POLICIES, NETWORK_POLICIES, NETWORKS]);

function part(object: JsonObject, key: string): JsonObject {
  const value = object[key];
  return isJsonObject(value) ? value : {};
}

/** The object as it is sent: with its namespace and the record of what was applied, without what servers write. */
function sent(target: Target): JsonObject {
  const { status: _status, ...object } = target.object;
  const {
    resourceVersion: _v,
    uid: _u,
    creationTimestamp: _c,
    managedFields: _m,
    ...metadata
  } = part(object, 'metadata');
  const { [LAST_APPLIED]: _last, ...annotations } = part(metadata, 'annotations');
  const home = target.namespace === undefined ? {} : { namespace: target.namespace };
  const bare = { ...object, metadata: { ...metadata, ...home, annotations } };
  return {
    ...bare,
    metadata: { ...bare.metadata, annotations: { ...annotations, [LAST_APPLIED]: `${JSON.stringify(bare)}\n` } },
  };
}

/** What was applied last, by whichever tool left a record. */
function lastApplied(resource: Resource, live: JsonObject): JsonObject {
  const text = part(part(live, 'metadata'), 'annotations')[LAST_APPLIED];
  let recorded: unknown;
  try {
    recorded = JSON.parse(typeof text === 'string' ? text : '{}');
  } catch {
    recorded = {};
  }
  const before = isJsonObject(recorded) ? recorded : {};
  return OWNED_SPECS.has(resource) ? { ...before, spec: live['spec'] } : before;
}

function uidOf(object: unknown): unknown {
  return part(isJsonObject(object) ? object : {}, 'metadata')['uid'];
}

/**
 * Creates the object, or changes it to what the file says.
 *
 * @throws ApiError as the server refuses it.
 */
export async function applyObject(client: KubeClient, target: Target): Promise<'created' | 'configured' | 'unchanged'> {
  const { resource, name, namespace } = target;
  const wanted = sent(target);
  for (let conflicts = 0; ; conflicts += 1) {
    try {
      const live = await client.get(resource, name, namespace).catch((error: unknown) => {
        if (isNotFound(error)) return undefined;
        throw error;
      });
      if (!isJsonObject(live)) {
        await client.create(resource, wanted, namespace);
        return 'created';
      }
      const patch = threeWayPatch(lastApplied(resource, live), wanted, live);
      if (patch === undefined) return 'unchanged';
      const { resourceVersion } = part(live, 'metadata');
      const guarded = { ...patch, metadata: { ...part(patch, 'metadata'), resourceVersion } };
      await client.patch(resource, name, guarded, { namespace });
      return 'configured';
    } catch (error) {
      if (!isConflict(error) || conflicts === MAX_CONFLICTS) throw error;
    }
  }
}

/**
 * Deletes the object and waits until it is gone.
 *
 * @throws ApiError as the server refuses it, 404 included; Error when it is still there after a minute.
 */
export async function deleteObject(client: KubeClient, target: Target, clock: Clock): Promise<'deleted'> {
  const { resource, name, namespace } = target;
  const uid = uidOf(await client.get(resource, name, namespace));
  await client.delete(resource, name, { namespace });
  const end = clock.now() + GONE_MS;
  for (;;) {
    try {
      if (uidOf(await client.get(resource, name, namespace)) !== uid) return 'deleted';
    } catch (error) {
      if (isNotFound(error)) return 'deleted';
      throw error;
    }
    if (clock.now() >= end) throw new Error(`is marked for deletion, but still there after ${GONE_MS / 1000} s`);
    await clock.sleep(LOOK_MS);
  }
}
