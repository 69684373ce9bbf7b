import { isConflict, isNotFound, type KubeClient } from '../kube/client.ts';
import type { Clock } from '../lib/clock.ts';
import { err, ok, type Result } from '../lib/result.ts';
import { isJsonObject, type JsonObject } from '../objects/field.ts';
import { DEMO_POLICIES, NETWORK_POLICIES, NETWORKS, type Resource } from '../objects/resources.ts';
import { faultOf, nameManifest, type Named } from './check-manifest.ts';
import { findResource } from './find-resource.ts';
import { readManifests } from './read-manifests.ts';
import { threeWayPatch } from './three-way-patch.ts';

/** What a person typed behind `romana apply` or `romana delete`. */
export interface ApplyArguments {
  /** Files, directories, `-` for standard input; at least one. */
  readonly files: readonly string[];
  /** `-n`: of objects that name none (else `default`); objects that name another one are refused. */
  readonly namespace?: string | undefined;
}

/** What `applyCommand` and `deleteCommand` work with. */
export interface ApplyDependencies {
  /** Called only when the input is good. */
  connect(): Promise<KubeClient>;
  readonly stdin: AsyncIterable<Uint8Array | string>;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  readonly clock: Clock;
}

/** An object and where it goes. */
interface Target extends Named {
  readonly resource: Resource;
  readonly namespace: string | undefined;
}

/** Where kubectl keeps what was applied last; the same, so that both can be used on one object. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** How often an object is read again when somebody else wrote between. */
const MAX_CONFLICTS = 5;

/** How long `deleteCommand` waits for an object to be gone, and between two looks, in milliseconds. */
const GONE_MS = 60_000;
const LOOK_MS = 100;

/** Kinds whose spec is the user's alone, so that what is not in the file goes, even if another tool made the object. */
const OWNED_SPECS: readonly Resource[] = [DEMO_POLICIES, NETWORK_POLICIES, NETWORKS];

async function readInput(
  args: ApplyArguments,
  deps: ApplyDependencies,
  check: (named: Named) => string | undefined,
): Promise<Result<readonly Named[]>> {
  const manifests = await readManifests({ files: args.files, stdin: deps.stdin });
  if (!manifests.ok) return manifests;
  const all: Named[] = [];
  for (const manifest of manifests.value) {
    const named = nameManifest(manifest);
    if (!named.ok) return named;
    const fault = check(named.value);
    if (fault !== undefined) return err(fault);
    all.push(named.value);
  }
  return ok(all);
}

async function findTargets(client: KubeClient, args: ApplyArguments, all: readonly Named[]): Promise<Result<Target[]>> {
  const targets: Target[] = [];
  for (const named of all) {
    const resource = await findResource(client, named.apiVersion, named.kind);
    if (!resource.ok) return err(`${named.where}: ${resource.error}`);
    if (!resource.value.namespaced) {
      targets.push({ ...named, resource: resource.value, namespace: undefined });
      continue;
    }
    if (args.namespace !== undefined && (named.namespace ?? args.namespace) !== args.namespace) {
      return err(`${named.where}: metadata.namespace: is ${named.namespace}, but -n says ${args.namespace}`);
    }
    targets.push({ ...named, resource: resource.value, namespace: named.namespace ?? args.namespace ?? 'default' });
  }
  return ok(targets);
}

function titleOf({ resource, name }: Target): string {
  const group = resource.group === '' ? '' : `.${resource.group}`;
  return `${resource.kind.toLowerCase()}${group}/${name}`;
}

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
  return OWNED_SPECS.includes(resource) ? { ...before, spec: live['spec'] } : before;
}

async function applyOne(client: KubeClient, target: Target): Promise<'created' | 'configured' | 'unchanged'> {
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

async function deleteOne(client: KubeClient, target: Target, clock: Clock): Promise<'deleted'> {
  const { resource, name, namespace } = target;
  const uidOf = (object: unknown): unknown => part(isJsonObject(object) ? object : {}, 'metadata')['uid'];
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

async function run(
  args: ApplyArguments,
  deps: ApplyDependencies,
  check: (named: Named) => string | undefined,
  act: (client: KubeClient, target: Target) => Promise<string>,
): Promise<0 | 1 | 2> {
  const complain = (message: string): void => void deps.stderr.write(`romana: ${message}\n`);
  const input = await readInput(args, deps, check);
  if (!input.ok) {
    complain(input.error);
    return 2;
  }
  let client: KubeClient;
  let targets: Result<Target[]>;
  try {
    client = await deps.connect();
    targets = await findTargets(client, args, input.value);
  } catch (error) {
    complain((error as Error).message);
    return 1;
  }
  if (!targets.ok) {
    complain(targets.error);
    return 2;
  }
  let failed = false;
  for (const target of targets.value) {
    try {
      deps.stdout.write(`${titleOf(target)} ${await act(client, target)}\n`);
    } catch (error) {
      failed = true;
      complain(`${target.where}: ${titleOf(target)}: ${(error as Error).message}`);
    }
  }
  return failed ? 1 : 0;
}

/**
 * `romana apply -f FILE|DIR|-`: creates the objects, or changes them to what the files say; also demo policies of
 * 2016. Nothing is changed unless every document is good. Resolves to the exit status: 0; 1 if the server refused or
 * did not answer; 2 for bad input, which stderr names by file, document and field.
 */
export function applyCommand(args: ApplyArguments, deps: ApplyDependencies): Promise<0 | 1 | 2> {
  return run(args, deps, faultOf, applyOne);
}

/** `romana delete -f FILE|DIR|-`: deletes the objects that the files name and waits until they are gone. Status as above. */
export function deleteCommand(args: ApplyArguments, deps: ApplyDependencies): Promise<0 | 1 | 2> {
  return run(
    args,
    deps,
    () => undefined,
    (client, target) => deleteOne(client, target, deps.clock),
  );
}
