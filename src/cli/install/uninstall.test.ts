import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { KubeClient } from '../../kube/client.ts';
import { FakeKubeClient } from '../../kube/fake-client.ts';
import type { JsonObject } from '../../objects/field.ts';
import { DAEMON_SETS, HOSTS, NODES, PODS } from '../../objects/resources.ts';
import { readDeployManifests } from './deploy-manifests.ts';
import { removalDaemonSet } from './removal-daemon-set.ts';
import { type UninstallArguments, uninstallCommand } from './uninstall.ts';

const manifests = await readDeployManifests(fileURLToPath(new URL('../../../deploy', import.meta.url)));
const agents = manifests.base.find(({ kind }) => kind === 'DaemonSet');
assert.ok(agents !== undefined);
const NAMESPACE = 'romana-system';

interface DaemonSetJson {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly template: {
      readonly spec: JsonObject & {
        readonly containers: readonly (JsonObject & { readonly args: readonly string[] })[];
      };
    };
  };
}

/** A cluster with agents and one host; the DaemonSet that removes them is ready on all nodes as soon as it is made. */
async function cluster({ ready = true } = {}): Promise<FakeKubeClient> {
  const client = new FakeKubeClient();
  await client.create(DAEMON_SETS, agents as object, NAMESPACE);
  await client.create(HOSTS, { metadata: { name: 'n1' }, spec: { id: 1, ranges: ['10.1.0.0/16'] } });
  const create = client.create.bind(client);
  client.create = async (resource, object, namespace) => {
    const made = await create(resource, object, namespace);
    if (resource !== DAEMON_SETS) return made;
    const counts = { desiredNumberScheduled: 1, updatedNumberScheduled: 1, numberReady: ready ? 1 : 0 };
    const status = { observedGeneration: 1, ...counts };
    const where = { namespace: NAMESPACE };
    await client.patch(resource, 'romana-uninstall', { metadata: { generation: 1 } }, where);
    await client.patch(resource, 'romana-uninstall', { status }, { ...where, subresource: 'status' });
    return made;
  };
  return client;
}

async function uninstall(client: KubeClient, words: Partial<UninstallArguments> = {}): Promise<[number, string]> {
  let said = '';
  const status = await uninstallCommand(
    { force: false, timeoutMs: 300, ...words },
    {
      connect: async () => client,
      manifests: async () => manifests,
      stderr: { write: (text: string) => (said += text) },
    },
  );
  return [status, said];
}

async function addPod(client: KubeClient, name: string, podIP: string, more: object = {}): Promise<void> {
  const spec = { containers: [], ...more };
  await client.create(PODS, { metadata: { name }, spec, status: { phase: 'Running', podIP } }, 'a');
}

test('removalDaemonSet has all that agents have, with another order and without credentials, however often it is made', () => {
  const once = removalDaemonSet(agents, undefined) as unknown as DaemonSetJson;
  const [before] = (agents as unknown as DaemonSetJson).spec.template.spec.containers;
  const [container] = once.spec.template.spec.containers;
  assert.deepEqual(container?.args, [...(before?.args ?? []), '--uninstall']);
  assert.deepEqual(container['securityContext'], before?.['securityContext']);
  assert.deepEqual(container['volumeMounts'], before?.['volumeMounts']);
  assert.equal(once.spec.template.spec['automountServiceAccountToken'], false);
  assert.equal(once.metadata.name, 'romana-uninstall');
  const again = removalDaemonSet(once as unknown as JsonObject, 60) as unknown as DaemonSetJson;
  const args = [...(before?.args ?? []), '--uninstall', '--force-after=60'];
  assert.deepEqual(again.spec.template.spec.containers[0]?.args, args);
  assert.deepEqual(removalDaemonSet(again as unknown as JsonObject, undefined), removalDaemonSet(agents, undefined));
});

test('uninstallCommand refuses while pods have addresses of hosts, and names them', async () => {
  const client = await cluster();
  await addPod(client, 'web', '10.1.17.3');
  await addPod(client, 'other-network', '10.244.0.3');
  await addPod(client, 'own-host', '10.1.0.1', { hostNetwork: true });
  const [status, said] = await uninstall(client);
  assert.equal(status, 1);
  assert.match(said, /^romana: 1 pod has an address of Romana and would lose the network: a\/web\. Delete them/);
  assert.ok(await client.get(DAEMON_SETS, 'romana-agent', NAMESPACE), 'nothing was touched');
});

test('uninstallCommand with force deletes the pods that have addresses of hosts, and says which', async () => {
  const client = await cluster();
  await addPod(client, 'web', '10.1.17.3');
  await addPod(client, 'other-network', '10.244.0.3');
  const [status, said] = await uninstall(client, { force: true });
  assert.equal(status, 0, said);
  assert.ok(!said.includes('not done'), said);
  assert.match(said, /deletes pods: 1 pod has an address of Romana: a\/web; what makes them again waits for the/);
  const { items } = await client.list(PODS);
  assert.deepEqual(
    items.map((json) => (json as { metadata: { name: string } }).metadata.name),
    ['other-network'],
  );
  assert.deepEqual((await client.list(DAEMON_SETS)).items, []);
});

test('uninstallCommand takes our condition from Nodes, and leaves the others', async () => {
  const client = await cluster();
  const ready = { type: 'Ready', status: 'True' };
  const conditions = [{ type: 'NetworkUnavailable', status: 'False' }, ready];
  await client.create(NODES, { metadata: { name: 'n1' }, status: { conditions } });
  assert.equal((await uninstall(client))[0], 0);
  const node = (await client.get(NODES, 'n1')) as { status: { conditions: unknown } };
  assert.deepEqual(node.status.conditions, [ready]);
});

test('uninstallCommand stops when a node is not done in time, names it, and goes on from there when it is called again', async () => {
  const client = await cluster({ ready: false });
  const labels = { 'app.kubernetes.io/name': 'romana', 'app.kubernetes.io/component': 'uninstall' };
  const pod = { metadata: { name: 'u', labels }, spec: { nodeName: 'n1', hostNetwork: true, containers: [] } };
  await client.create(PODS, pod, NAMESPACE);
  // The scheduler has not seen this one yet.
  const matchFields = [{ key: 'metadata.name', operator: 'In', values: ['n2'] }];
  const terms = { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchFields }] } };
  const spec = { affinity: { nodeAffinity: terms }, hostNetwork: true, containers: [] };
  await client.create(PODS, { metadata: { name: 'v', labels }, spec }, NAMESPACE);
  const [status, said] = await uninstall(client);
  assert.equal(status, 1);
  assert.match(said, /these nodes are not done after 0\.3 s: n1, n2; see kubectl/);
  assert.ok(await client.get(DAEMON_SETS, 'romana-uninstall', NAMESPACE));
  const [forced, saidThen] = await uninstall(client, { force: true });
  assert.equal(forced, 0, saidThen);
  assert.match(saidThen, /n1, n2; leaves them as they are/);
  assert.deepEqual((await client.list(DAEMON_SETS)).items, []);
  assert.deepEqual((await client.list(PODS)).items, [], 'pods that no kubelet ends would keep the namespace');
});

test('uninstallCommand says that there is nothing to uninstall', async () => {
  const [status, said] = await uninstall(new FakeKubeClient());
  assert.equal(status, 1);
  assert.match(said, /there is nothing to uninstall: the cluster has no namespace romana-system/);
});
