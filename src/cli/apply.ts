import type { KubeClient } from '../kube/client.ts';
import type { Clock } from '../lib/clock.ts';
import { err, ok, type Result } from '../lib/result.ts';
import { applyObject, deleteObject, type Target } from './apply-object.ts';
import { faultOf, nameManifest, type Named } from './check-manifest.ts';
import { findResource } from '../kube/find-resource.ts';
import { readManifests } from './read-manifests.ts';

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
  return run(args, deps, faultOf, applyObject);
}

/** `romana delete -f FILE|DIR|-`: deletes the objects that the files name and waits until they are gone. Status as above. */
export function deleteCommand(args: ApplyArguments, deps: ApplyDependencies): Promise<0 | 1 | 2> {
  return run(
    args,
    deps,
    () => undefined,
    (client, target) => deleteObject(client, target, deps.clock),
  );
}
