import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { waitFor } from '../../src/lib/wait-for.ts';
import { textAt } from '../../src/local/kube-json.ts';
import { NAMESPACES } from '../../src/objects/resources.ts';
import { attachmentsMatch } from '../support/kube-attachments.ts';
import { KubeCluster, NO_ETCD_TOOLS, NO_KUBERNETES } from '../support/kube-cluster.ts';
import type { KubeNode } from '../support/kube-node.ts';
import { bitsOf, bystander, KubePeers, listenAt, PORTS } from '../support/kube-peers.ts';
import { KubeRestore } from '../support/kube-restore.ts';
import { leasesAt } from '../support/pod-probe.ts';

const NS = 'away';
const AGENT_PORT = 9671;
/** A watch that has failed so often waits for its longest: 50 ms, doubled up to a second. */
const LONGEST_AFTER = 8;
const PATIENCE_MS = 120_000;
const FAILURES = /^romana_agent_watch_failures_total\{resource="([^"]+)"\} (\d+)$/gm;

suite('a control plane that is away', { skip: NO_KUBERNETES }, () => {
  let cluster: KubeCluster;
  let peers: KubePeers;

  before(async () => {
    cluster = await KubeCluster.up({ minions: 2 });
    peers = await KubePeers.make(cluster, NS);
  });
  after(async () => {
    await peers?.[Symbol.asyncDispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  test('with the API server away nothing forbidden passes and nothing allowed breaks, while agents start anew and sandboxes are remade', async () => {
    const master = cluster.node('master');
    const [near, far] = [cluster.node('minion1'), cluster.node('minion2')];
    const victims = await cluster.addressesOf(`${NS}/victim`);
    const stop = await peers.traffic();
    await master.hold('kube-apiserver');
    let remade: readonly string[] = [];
    try {
      await longestBackoff([near, far]);
      for (const node of [near, far]) {
        await node.signalProgram('romana agent', 'KILL');
        await agentReady(node);
      }
      await killSandbox(far, 'victim');
      remade = await waitFor('the victim to have another address', () => renewed(far, victims), {
        timeoutMs: PATIENCE_MS,
        everyMs: 200,
      });
      assert.deepEqual(remade.map(bitsOf), victims.map(bitsOf));
      const { client, teller } = peers;
      await listenAt(await peers.probe('minion2', 'victim'), [PORTS.open, PORTS.told]);
      for (const address of remade) {
        await waitFor(`${address} to answer`, async () => (await client.udp(address, PORTS.open)) === 'open');
        assert.equal(await teller.udp(address, PORTS.told), 'open', 'peers that labels name are known still');
        assert.equal(await client.tcp(address, PORTS.open), 'open');
      }
    } finally {
      master.release('kube-apiserver');
    }
    const told = async (): Promise<boolean> =>
      (await cluster.addressesOf(`${NS}/victim`)).toSorted().join() === remade.toSorted().join();
    await waitFor("the victim's new addresses in the API", told, { timeoutMs: PATIENCE_MS, everyMs: 200 });
    await cluster.ready(`${NS}/victim`, PATIENCE_MS);
    await stop();
    await attachmentsMatch(cluster, ['minion1', 'minion2']);
  });

  test('with etcd killed and started again nothing forbidden passes and nothing allowed breaks', async () => {
    const stop = await peers.traffic();
    await cluster.node('master').kill('etcd');
    await waitFor('the API server to write again', () => annotate('etcd'), { timeoutMs: PATIENCE_MS, everyMs: 200 });
    await cluster.apply(bystander(NS, 'later', 'minion1', { segment: 'client' }));
    await cluster.ready(`${NS}/later`, PATIENCE_MS);
    await stop();
  });

  test(
    'R33: etcd restored from a backup by the steps of docs/install.md: what was made since is no peer, no id is given twice, and all that is known goes on',
    { skip: NO_ETCD_TOOLS },
    () => new KubeRestore(cluster, peers).run(),
  );

  async function annotate(value: string): Promise<boolean> {
    await cluster.kubectl('annotate', 'namespace', NS, `test=${value}`, '--overwrite', '--request-timeout=5s');
    return textAt(await cluster.client.get(NAMESPACES, NS), 'metadata', 'annotations', 'test') === value;
  }
});

async function failures(node: KubeNode): Promise<ReadonlyMap<string, number>> {
  const [address = ''] = node.layout.addresses;
  const metrics = await node.run('curl', '-sS', '-m', '5', `http://${address}:${AGENT_PORT}/metrics`);
  return new Map(Array.from(metrics.matchAll(FAILURES), ([, resource = '', count]) => [resource, Number(count)]));
}

/** Waits until each watch of the agents fails for so long that it waits its longest between two attempts. */
async function longestBackoff(nodes: readonly KubeNode[]): Promise<void> {
  for (const node of nodes) {
    const reached = async (): Promise<boolean> => {
      const counts = [...(await failures(node)).values()];
      return counts.length >= 6 && counts.every((count) => count >= LONGEST_AFTER);
    };
    await waitFor(`all watches of ${node.layout.name} to have failed often`, reached, {
      timeoutMs: PATIENCE_MS,
      everyMs: 200,
    });
  }
}

async function agentReady(node: KubeNode): Promise<void> {
  const [address = ''] = node.layout.addresses;
  const ready = async (): Promise<boolean> =>
    (await node.run('curl', '-sS', '-m', '2', `http://${address}:${AGENT_PORT}/readyz`)) === 'ok\n';
  await waitFor(`the agent of ${node.layout.name} to be ready`, ready, { timeoutMs: PATIENCE_MS, everyMs: 200 });
}

/** Kills a pod's sandbox, as a crash of it would. */
async function killSandbox(node: KubeNode, pod: string): Promise<void> {
  const filter = `labels."io.kubernetes.pod.name"==${pod},labels."io.cri-containerd.kind"==sandbox`;
  const [id = ''] = (await node.run('ctr', '-n', 'k8s.io', 'containers', 'ls', '-q', filter)).trim().split('\n');
  assert.notEqual(id, '', `no sandbox of ${pod}`);
  await node.run('ctr', '-n', 'k8s.io', 'tasks', 'kill', '-s', 'SIGKILL', id);
}

/** The victim's addresses when they are others than they were. */
function renewed(node: KubeNode, before: readonly string[]): readonly string[] | undefined {
  const leases = leasesAt(node).filter(({ namespace, pod }) => namespace === NS && pod === 'victim');
  const found = leases.flatMap(({ addresses }) => addresses);
  return found.length === 2 && !found.some((address) => before.includes(address)) ? found : undefined;
}
