import { isConflict, isNotFound, type KubeClient } from '../../kube/client.ts';
import { findResource } from '../../kube/find-resource.ts';
import { asRecord, asText, identityOf } from '../../kube/json.ts';
import { waitFor } from '../../lib/wait-for.ts';
import { isJsonObject, type JsonObject } from '../../objects/field.ts';
import { qualifiedName } from '../../objects/meta.ts';
import { DAEMON_SETS, PODS } from '../../objects/resources.ts';
import type { DeployManifests } from './deploy-manifests.ts';
import { networkUsers } from './network-users.ts';
import { forgetNodeConditions } from './node-conditions.ts';
import { Refusal } from './refusal.ts';
import { removalDaemonSet, REMOVAL_LABELS, REMOVAL_NAME } from './removal-daemon-set.ts';

/** What a person typed behind `romana uninstall`. */
export interface UninstallArguments {
  /** Whether pods that have our addresses are deleted, and nodes that do not answer are left as they are. */
  readonly force: boolean;
  /** How long nodes may take to be done, in milliseconds. */
  readonly timeoutMs: number;
}

/** What `uninstallCommand` works with. */
export interface UninstallDependencies {
  connect(): Promise<KubeClient>;
  manifests(): Promise<DeployManifests>;
  readonly stderr: { write(text: string): unknown };
}

const NAMESPACE = 'romana-system';
const AGENT = 'romana-agent';
const CONTROLLER = 'romana-controller';
/** So many pods are named in a refusal. */
const MAX_NAMED = 10;
/** With force: how long pods may take to end before nodes take their network away, in seconds. */
const FORCE_AFTER_SECONDS = 60;
const LOOK_MS = 500;

type Say = (line: string) => void;

/**
 * `romana uninstall`: leaves every node, and the cluster, as they were. A DaemonSet of the agents' own image takes each
 * agent's place, answers the runtime until no pod is connected, and removes what agents have made; then the objects of
 * the installation go. Can be repeated after it was refused or cut short. Resolves to the exit status, 0 or 1.
 */
export async function uninstallCommand(args: UninstallArguments, deps: UninstallDependencies): Promise<0 | 1 | 2> {
  const say: Say = (line) => void deps.stderr.write(`romana: ${line}\n`);
  try {
    const client = await deps.connect();
    const manifests = await deps.manifests();
    const template = await agentTemplate(client, manifests);
    await refuseUsers(client, args, say);
    await removeFromNodes(client, template, args, say);
    await forgetNodeConditions(client);
    say('removing what is left in the cluster');
    await deleteAll(client, manifests.base, args.timeoutMs);
    say('Romana is gone; nodes are not ready until they have another network');
    return 0;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    say(error.message);
    return error.status;
  }
}

/** The agents' DaemonSet as it runs, else as an earlier call has changed it, else as it would be installed now. */
async function agentTemplate(client: KubeClient, { base }: DeployManifests): Promise<JsonObject> {
  for (const name of [AGENT, REMOVAL_NAME]) {
    const found = await client.get(DAEMON_SETS, name, NAMESPACE).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    if (isJsonObject(found)) return found;
  }
  const namespace = await findNamespace(client);
  const own = base.find((object) => object['kind'] === DAEMON_SETS.kind);
  if (!namespace || own === undefined) {
    throw new Refusal(1, `there is nothing to uninstall: the cluster has no namespace ${NAMESPACE}`);
  }
  return own;
}

async function findNamespace(client: KubeClient): Promise<boolean> {
  return client.raw('GET', `/api/v1/namespaces/${NAMESPACE}`).then(
    () => true,
    (error: unknown) => {
      if (isNotFound(error)) return false;
      throw error;
    },
  );
}

async function refuseUsers(client: KubeClient, { force }: UninstallArguments, say: Say): Promise<void> {
  const users = await networkUsers(client);
  if (users.length === 0) return;
  const named = users.slice(0, MAX_NAMED).map(({ meta }) => qualifiedName(meta));
  const list = `${named.join(', ')}${users.length > MAX_NAMED ? ` and ${users.length - MAX_NAMED} more` : ''}`;
  const count = `${users.length} ${users.length === 1 ? 'pod has an address' : 'pods have addresses'} of Romana`;
  if (force) {
    say(`deletes pods: ${count}: ${list}; what makes them again waits for the next network`);
    return;
  }
  throw new Refusal(
    1,
    `${count} and would lose the network: ${list}. Delete them, or scale down what makes them, and call again; ` +
      'with --force they are deleted, on every node, and what makes them again waits for the next network',
  );
}

async function removeFromNodes(
  client: KubeClient,
  template: JsonObject,
  { force, timeoutMs }: UninstallArguments,
  say: Say,
): Promise<void> {
  say('ending controllers and agents');
  // The controller first: it would make anew what goes.
  await remove(client, { apiVersion: 'apps/v1', kind: 'Deployment' }, CONTROLLER);
  await remove(client, DAEMON_SETS_TYPE, AGENT);
  const removal = removalDaemonSet(template, force ? FORCE_AFTER_SECONDS : undefined);
  // One of an earlier call may do otherwise about pods that stay.
  await remove(client, DAEMON_SETS_TYPE, REMOVAL_NAME);
  await waitFor('an earlier one to be gone', () => client.create(DAEMON_SETS, removal).catch(onlyConflict), {
    timeoutMs,
    everyMs: LOOK_MS,
  });
  say('each node removes its links, routes, rules, files and sysctls');
  if (force) await deletePods(client);
  try {
    await waitFor('all nodes to be done', () => isDone(client), { timeoutMs, everyMs: LOOK_MS });
  } catch (cause) {
    const late = await lateNodes(client);
    const what = `these nodes are not done after ${timeoutMs / 1_000} s: ${late.join(', ') || 'unknown'}`;
    if (!force) {
      const advice = `see kubectl -n ${NAMESPACE} describe pod -l ${selector()}; call again, or --force to leave them`;
      throw new Refusal(1, `${what}; ${advice}`);
    }
    say(`${what}; leaves them as they are (${cause instanceof Error ? cause.message : String(cause)})`);
    await remove(client, DAEMON_SETS_TYPE, REMOVAL_NAME);
    await forgetPods(client, new Set(late));
    return;
  }
  await remove(client, DAEMON_SETS_TYPE, REMOVAL_NAME);
}

const DAEMON_SETS_TYPE = { apiVersion: 'apps/v1', kind: 'DaemonSet' };

async function deletePods(client: KubeClient): Promise<void> {
  for (const { meta } of await networkUsers(client)) {
    await client.delete(PODS, meta.name, { namespace: meta.namespace, uid: meta.uid }).catch(onlyGone);
  }
}

/** Whether the removal is ready on every node that a DaemonSet reaches. */
async function isDone(client: KubeClient): Promise<boolean> {
  const set = asRecord(await client.get(DAEMON_SETS, REMOVAL_NAME, NAMESPACE));
  const status = asRecord(set?.['status']);
  const { observedGeneration, desiredNumberScheduled, numberReady, updatedNumberScheduled } = status ?? {};
  if (typeof desiredNumberScheduled !== 'number' || typeof observedGeneration !== 'number') return false;
  const all = [numberReady, updatedNumberScheduled].every((count = 0) => count === desiredNumberScheduled);
  return all && observedGeneration === asRecord(set?.['metadata'])?.['generation'];
}

function selector(): string {
  return Object.entries(REMOVAL_LABELS)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}

async function lateNodes(client: KubeClient): Promise<readonly string[]> {
  const { items } = await client.list(PODS, { namespace: NAMESPACE, labelSelector: selector() });
  return items.flatMap((json) => {
    const conditions: unknown = asRecord(asRecord(json)?.['status'])?.['conditions'];
    const ready = (Array.isArray(conditions) ? (conditions as readonly unknown[]) : []).some((item) => {
      const condition = asRecord(item);
      return condition?.['type'] === 'Ready' && condition['status'] === 'True';
    });
    return ready ? [] : [nodeOf(json) || identityOf(json).name];
  });
}

/** The part of a DaemonSet's pod that says where it belongs, before the scheduler has put it there too. */
interface BoundPod {
  readonly spec?: {
    readonly nodeName?: string;
    readonly affinity?: {
      readonly nodeAffinity?: {
        readonly requiredDuringSchedulingIgnoredDuringExecution?: {
          readonly nodeSelectorTerms?: readonly {
            readonly matchFields?: readonly { readonly key: string; readonly values?: readonly string[] }[];
          }[];
        };
      };
    };
  };
}

function nodeOf(pod: unknown): string {
  const { nodeName, affinity } = (pod as BoundPod).spec ?? {};
  const terms = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  const fields = terms.flatMap(({ matchFields = [] }) => matchFields);
  return nodeName ?? fields.find(({ key }) => key === 'metadata.name')?.values?.[0] ?? '';
}

/** Deletes our own pods on nodes that do not answer, since no kubelet says that they have ended. */
async function forgetPods(client: KubeClient, nodes: ReadonlySet<string>): Promise<void> {
  const { items } = await client.list(PODS, { namespace: NAMESPACE });
  for (const pod of items.filter((item) => nodes.has(nodeOf(item)))) {
    const { name, uid } = identityOf(pod);
    await client.delete(PODS, name, { namespace: NAMESPACE, uid, gracePeriodSeconds: 0 }).catch(onlyGone);
  }
}

/** Deletes the objects of the installation, the last made first, and waits until they are gone. */
async function deleteAll(client: KubeClient, objects: readonly JsonObject[], timeoutMs: number): Promise<void> {
  for (const object of objects.toReversed()) {
    const { name, namespace } = identityOf(object);
    await remove(client, { apiVersion: asText(object['apiVersion']), kind: asText(object['kind']) }, name, namespace);
  }
  for (const object of objects) {
    const type = { apiVersion: asText(object['apiVersion']), kind: asText(object['kind']) };
    if (type.kind !== 'Namespace' && type.kind !== 'CustomResourceDefinition') continue;
    const { name } = identityOf(object);
    const resource = await findResource(client, type.apiVersion, type.kind);
    if (!resource.ok) continue;
    await waitFor(
      `${type.kind} ${name} to be gone`,
      () => client.get(resource.value, name).then(() => false, onlyMissing),
      { timeoutMs, everyMs: LOOK_MS },
    );
  }
}

/** Deletes one object; what is gone, and a kind that is not served, is no failure. */
async function remove(
  client: KubeClient,
  { apiVersion, kind }: { readonly apiVersion: string; readonly kind: string },
  name: string,
  namespace: string = NAMESPACE,
): Promise<void> {
  const resource = await findResource(client, apiVersion, kind);
  if (!resource.ok) return;
  const where = resource.value.namespaced ? { namespace } : {};
  await client.delete(resource.value, name, where).catch(onlyGone);
}

function onlyGone(error: unknown): void {
  if (!isNotFound(error) && !isConflict(error)) throw error;
}

function onlyMissing(error: unknown): true {
  if (isNotFound(error)) return true;
  throw error;
}

function onlyConflict(error: unknown): undefined {
  if (isConflict(error)) return undefined;
  throw error;
}
