import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { isNotFound } from '../../src/kube/client.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { objectsAt, textAt } from '../../src/local/kube-json.ts';
import { NAMESPACES, PODS, TENANTS } from '../../src/objects/resources.ts';
import { attachmentsMatch } from '../support/kube-attachments.ts';
import { KubeCluster, NO_KUBERNETES } from '../support/kube-cluster.ts';
import { at, clientPod, get, HTTP_PORT, knock, seenFrom, serverPod } from '../support/kube-pods.ts';

const SYSTEM = 'romana-system';
const CONTROLLERS = 'app.kubernetes.io/component=controller';
/** For a kubelet or a runtime that was killed to be through with everything, in milliseconds. */
const PATIENCE_MS = 180_000;

suite('faults of nodes and runtimes', { skip: NO_KUBERNETES }, () => {
  let cluster: KubeCluster;
  before(async () => {
    cluster = await KubeCluster.up({ minions: 2 });
    await cluster.apply(
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'near' } },
      clientPod({ namespace: 'near', name: 'client', node: 'minion2' }),
    );
    await cluster.ready('near/client');
  });
  after(() => cluster[Symbol.asyncDispose]());

  const readyCount = async (ns: string): Promise<number> => {
    const { items } = await cluster.client.list(PODS, { namespace: ns });
    return items.filter((pod) =>
      objectsAt(pod, 'status', 'conditions').some(({ type, status }) => type === 'Ready' && status === 'True'),
    ).length;
  };
  const allReady = async (ns: string, count: number): Promise<void> => {
    await waitFor(`${count} pods of ${ns} to be Ready`, async () => (await readyCount(ns)) === count, {
      timeoutMs: PATIENCE_MS,
      everyMs: 250,
    });
  };
  const remove = async (ns: string): Promise<void> => {
    await cluster.kubectl('delete', 'namespace', ns, '--timeout=120s');
  };

  test('60 pods at once on a node are all Ready, and all leave without a trace', async () => {
    await cluster.apply(namespace('crowd'), deployment('crowd', 60));
    await allReady('crowd', 60);
    await attachmentsMatch(cluster, ['minion1', 'minion2']);
    const { items } = await cluster.client.list(PODS, { namespace: 'crowd' });
    for (const pod of items) assert.equal(objectsAt(pod, 'status', 'podIPs').length, 2);
    await remove('crowd');
    await attachmentsMatch(cluster, ['minion1', 'minion2']);
  });

  test('R15: containerd killed in the middle of ADDs and DELs leaves nothing behind', async () => {
    const node = cluster.node('minion1');
    await cluster.apply(namespace('torn'), deployment('torn', 20));
    for (const ready of [1, 8]) {
      await waitFor(`${ready} pods`, async () => (await readyCount('torn')) >= ready, { timeoutMs: PATIENCE_MS });
      await node.kill('containerd');
    }
    await allReady('torn', 20);
    await attachmentsMatch(cluster, ['minion1', 'minion2']);
    await cluster.kubectl('-n', 'torn', 'scale', 'deployment/many', '--replicas=2');
    const some = async (): Promise<boolean> =>
      (await cluster.client.list(PODS, { namespace: 'torn' })).items.length < 18;
    await waitFor('some to be gone', some, { timeoutMs: PATIENCE_MS });
    await node.kill('containerd');
    await remove('torn');
    await attachmentsMatch(cluster, ['minion1', 'minion2']);
  });

  test('a kubelet killed while pods come and go finds everything again', async () => {
    const node = cluster.node('minion1');
    await cluster.apply(namespace('blind'), deployment('blind', 15));
    await waitFor('the first pods', async () => (await readyCount('blind')) >= 3, { timeoutMs: PATIENCE_MS });
    await node.hold('kubelet');
    await cluster.kubectl('-n', 'blind', 'scale', 'deployment/many', '--replicas=5');
    node.release('kubelet');
    const scaled = async (): Promise<boolean> =>
      (await cluster.client.list(PODS, { namespace: 'blind' })).items.length === 5;
    await waitFor('those that are too many to be gone', scaled, { timeoutMs: PATIENCE_MS, everyMs: 250 });
    await allReady('blind', 5);
    await attachmentsMatch(cluster, ['minion1', 'minion2']);
    await remove('blind');
  });

  test('R16: an agent that is away fails no node, and pods that start meanwhile run when it is back', async () => {
    await cluster.apply(namespace('wait'));
    const node = cluster.node('minion1');
    await node.signalProgram('romana agent', 'STOP');
    await cluster.apply(clientPod({ namespace: 'wait', name: 'late', node: 'minion1' }));
    await node.signalProgram('romana agent', 'KILL');
    await cluster.ready('wait/late', PATIENCE_MS);
    const ready = JSON.parse(await cluster.kubectl('get', 'node', 'minion1', '-o', 'json')) as unknown;
    const condition = objectsAt(ready, 'status', 'conditions').find(({ type }) => type === 'Ready');
    assert.equal(condition?.['status'], 'True');
    await attachmentsMatch(cluster, ['minion1', 'minion2']);
    await remove('wait');
  });

  test('R33: a pod that is deleted by force while its node can not hear of it keeps its address to itself', async () => {
    await cluster.apply(namespace('forced'), serverPod({ namespace: 'forced', name: 'ghost', node: 'minion1' }));
    await cluster.ready('forced/ghost');
    const [address = ''] = await cluster.addressesOf('forced/ghost');
    const node = cluster.node('minion1');
    await node.hold('kubelet');
    await cluster.kubectl('-n', 'forced', 'delete', 'pod', 'ghost', '--force', '--grace-period=0');
    const gone = (): Promise<boolean> => cluster.client.get(PODS, 'ghost', 'forced').then(() => false, isNotFound);
    await waitFor('the object to be gone', gone);
    // It runs on, and is who it was.
    assert.equal(await get(cluster, 'near/client', at(address, HTTP_PORT), '/hostname'), 'ghost');
    node.release('kubelet');
    await cluster.apply(...[1, 2, 3].map((n) => serverPod({ namespace: 'forced', name: `heir${n}`, node: 'minion1' })));
    for (const n of [1, 2, 3]) {
      await cluster.ready(`forced/heir${n}`, PATIENCE_MS);
      assert.ok(
        !(await cluster.addressesOf(`forced/heir${n}`)).includes(address),
        'the address has a new owner at once',
      );
    }
    await attachmentsMatch(cluster, ['minion1', 'minion2']);
    await remove('forced');
  });

  test('R8: pods that are to end are subjects and peers of policies until their sandboxes are gone', async () => {
    const labels = { db: { app: 'db' }, web: { app: 'web' }, late: { app: 'web' }, other: {} };
    // They are told to end, and go on until they are let go: process 1 of a container ignores what it does not handle.
    const command = ['sh', '-c', 'until [ -e /tmp/go ]; do sleep 0.1; done'];
    const patient = { spec: { terminationGracePeriodSeconds: 300 } };
    const client = (name: keyof typeof labels, more: object): object =>
      clientPod({ namespace: 'leave', name, node: 'minion2', labels: labels[name], ...more });
    const lifecycle = { preStop: { exec: { command } } };
    const server = { namespace: 'leave', name: 'db', node: 'minion1', ...patient, container: { lifecycle } };
    await cluster.apply(
      namespace('leave', { 'net.alpha.kubernetes.io/network-isolation': 'on' }),
      {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'NetworkPolicy',
        metadata: { name: 'web', namespace: 'leave' },
        spec: {
          podSelector: { matchLabels: labels.db },
          ingress: [{ from: [{ podSelector: { matchLabels: labels.web } }] }],
        },
      },
      serverPod({ namespace: 'near', name: 'open', node: 'minion1' }),
      serverPod({ ...server, labels: labels.db }),
      client('web', { ...patient, container: { command } }),
      client('other', { ...patient, container: { command } }),
    );
    for (const name of ['leave/db', 'leave/web', 'leave/other', 'near/open']) await cluster.ready(name, PATIENCE_MS);
    await cluster.kubectl('-n', 'leave', 'delete', 'pods', 'db', 'web', 'other', '--wait=false');
    // Whoever has seen a later pod of the same watches has seen that these are to end.
    await cluster.apply(client('late', {}), serverPod({ namespace: 'leave', name: 'later', node: 'minion1' }));
    for (const name of ['leave/late', 'leave/later']) await cluster.ready(name, PATIENCE_MS);
    const [controls, doors] = await Promise.all(['near/open', 'leave/db'].map((name) => cluster.addressesOf(name)));
    for (const [n, address] of (doors ?? []).entries()) {
      const door = at(address, HTTP_PORT);
      const answers = async (): Promise<boolean> => (await get(cluster, 'leave/late', door, '/hostname')) === 'db';
      await waitFor('the later pod to be a peer', answers);
      assert.equal(await get(cluster, 'leave/web', door, '/hostname'), 'db');
      assert.equal(await knock(cluster, 'leave/other', door, at(controls?.[n] ?? '', HTTP_PORT)), 'dropped');
    }
    for (const name of ['db', 'web', 'other']) await cluster.exec(`leave/${name}`, 'touch', '/tmp/go');
    await attachmentsMatch(cluster, ['minion1', 'minion2']);
    await remove('leave');
  });

  test('a namespace that is deleted and made again under its name is another tenant, and works', async () => {
    const tenantOf = async (): Promise<string> => textAt(await cluster.client.get(TENANTS, 'again'), 'metadata', 'uid');
    const uids: string[] = [];
    for (let n = 0; n < 3; n += 1) {
      await cluster.apply(namespace('again'), serverPod({ namespace: 'again', name: 'server', node: 'minion1' }));
      await cluster.ready('again/server', PATIENCE_MS);
      uids.push(await tenantOf());
      const [address = ''] = await cluster.addressesOf('again/server');
      assert.match(await seenFrom(cluster, 'near/client', at(address, HTTP_PORT)), /^10\./);
      await remove('again');
      const gone = (): Promise<boolean> => cluster.client.get(NAMESPACES, 'again').then(() => false, isNotFound);
      await waitFor('the namespace to be gone', gone);
    }
    assert.equal(new Set(uids).size, 3);
    await attachmentsMatch(cluster, ['minion1', 'minion2']);
  });

  test('R7: pods of a Job that have finished hold no address', async () => {
    const template = clientPod({ namespace: 'jobs', name: 'job', node: 'minion1', container: { command: ['true'] } });
    await cluster.apply(namespace('jobs'), {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { namespace: 'jobs', name: 'short' },
      spec: {
        completions: 6,
        parallelism: 3,
        template: { spec: { ...(template as { spec: object }).spec, restartPolicy: 'Never' } },
      },
    });
    await cluster.kubectl('-n', 'jobs', 'wait', '--for=condition=Complete', 'job/short', '--timeout=180s');
    await attachmentsMatch(cluster, ['minion1', 'minion2']);
    await remove('jobs');
  });

  test('the leader of the controllers dies, and another gives ids', async () => {
    const holder = async (): Promise<string> =>
      (
        await cluster.kubectl(
          '-n',
          SYSTEM,
          'get',
          'lease',
          'romana-controller',
          '-o',
          'jsonpath={.spec.holderIdentity}',
        )
      ).trim();
    const before = await holder();
    const [node = ''] = before.split('_');
    const { items } = await cluster.client.list(PODS, { namespace: SYSTEM, labelSelector: CONTROLLERS });
    const leader = items.find((pod) => textAt(pod, 'spec', 'nodeName') === node);
    assert.ok(leader !== undefined, `no controller on ${node}`);
    await cluster.node(node).signalProgram('romana controller', 'KILL');
    await cluster.apply(
      namespace('after'),
      clientPod({ namespace: 'after', name: 'pod', node: 'minion1', labels: { segment: 'new' } }),
    );
    await cluster.ready('after/pod', PATIENCE_MS);
    assert.notEqual(await holder(), before);
    await remove('after');
  });
});

function namespace(name: string, annotations: Readonly<Record<string, string>> = {}): object {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, annotations } };
}

/** So many pods on one node. */
function deployment(ns: string, replicas: number): object {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { namespace: ns, name: 'many' },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'many' } },
      template: {
        metadata: { labels: { app: 'many', segment: 'many' } },
        spec: (clientPod({ namespace: ns, name: 'many', node: 'minion1' }) as { spec: object }).spec,
      },
    },
  };
}
