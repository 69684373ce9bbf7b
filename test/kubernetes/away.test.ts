import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { DEFAULT_PLANS, decode } from '../../src/addr/plan.ts';
import { parseAddress } from '../../src/addr/address.ts';
import { unwrap } from '../../src/lib/result.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { textAt } from '../../src/local/kube-json.ts';
import { NAMESPACES } from '../../src/objects/resources.ts';
import { attachmentsMatch } from '../support/kube-attachments.ts';
import { KubeCluster, NO_KUBERNETES } from '../support/kube-cluster.ts';
import type { KubeNode } from '../support/kube-node.ts';
import { clientPod } from '../support/kube-pods.ts';
import { leasesAt, podProbe } from '../support/pod-probe.ts';
import type { Probe } from '../support/probe.ts';

const NS = 'away';
const OPEN = 80;
const TOLD = 81;
const CLOSED = 82;
const AGENT_PORT = 9671;
/** A watch that has failed so often waits for its longest: 50 ms, doubled up to a second. */
const LONGEST_AFTER = 8;
const PATIENCE_MS = 120_000;
const FAILURES = /^romana_agent_watch_failures_total\{resource="([^"]+)"\} (\d+)$/gm;

suite('a control plane that is away', { skip: NO_KUBERNETES }, () => {
  let cluster: KubeCluster;
  const probes: Probe[] = [];
  let client: Probe;
  let teller: Probe;
  let server: Probe;

  before(async () => {
    cluster = await KubeCluster.up({ minions: 2 });
    await cluster.apply(
      {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: NS, annotations: { 'net.alpha.kubernetes.io/network-isolation': 'on' } },
      },
      segmentPod('client', 'minion1', { segment: 'client' }),
      segmentPod('teller', 'minion1', { role: 'teller' }),
      segmentPod('server', 'minion2', { segment: 'server' }),
      segmentPod('victim', 'minion2', { segment: 'server' }),
      allow('by-segment', { segment: 'client' }, OPEN),
      allow('by-label', { role: 'teller' }, TOLD),
    );
    for (const pod of ['client', 'teller', 'server', 'victim']) await cluster.ready(`${NS}/${pod}`);
    client = await probeOf('minion1', 'client');
    teller = await probeOf('minion1', 'teller');
    server = await probeOf('minion2', 'server');
    await listen(server);
    for (const address of await cluster.addressesOf(`${NS}/server`)) {
      await waitFor(`${address} to answer`, async () => (await client.udp(address, OPEN)) === 'open');
      await waitFor(`${address} to answer`, async () => (await teller.udp(address, TOLD)) === 'open');
    }
  });
  after(async () => {
    for (const probe of probes) await probe[Symbol.asyncDispose]();
    await cluster[Symbol.asyncDispose]();
  });

  async function probeOf(node: string, pod: string): Promise<Probe> {
    const probe = await podProbe(cluster.node(node), NS, pod);
    probes.push(probe);
    return probe;
  }

  /** All that is allowed and forbidden towards `addresses` goes on until stopped; then nothing of it was wrong. */
  async function traffic(addresses: readonly string[]): Promise<() => Promise<void>> {
    const streams = await Promise.all(
      addresses.flatMap((address) => [client.stream(address, OPEN), teller.stream(address, TOLD)]),
    );
    const floods = await Promise.all(
      addresses.flatMap((address) => [client.flood(address, CLOSED), teller.flood(address, OPEN)]),
    );
    return async () => {
      for (const flood of floods) await flood.stop();
      for (const stream of streams) {
        const { sent, echoed, connects, connected } = await stream.stop();
        assert.deepEqual({ echoed, connected }, { echoed: sent, connected: connects });
        assert.ok(sent > 100 && connects > 10, `${sent} datagrams and ${connects} connections`);
      }
      assert.deepEqual(await server.received('udp', CLOSED), new Map());
      const heard = [...(await server.received('udp', OPEN)).keys()];
      const mine = new Set(await cluster.addressesOf(`${NS}/teller`));
      assert.deepEqual(
        heard.filter((from) => mine.has(from)),
        [],
        'what is open for the client only',
      );
    };
  }

  test('with the API server away nothing forbidden passes and nothing allowed breaks, while agents start anew and sandboxes are remade', async () => {
    const master = cluster.node('master');
    const [near, far] = [cluster.node('minion1'), cluster.node('minion2')];
    const addresses = await cluster.addressesOf(`${NS}/server`);
    const victims = await cluster.addressesOf(`${NS}/victim`);
    const stop = await traffic(addresses);
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
      assert.deepEqual(remade.map(segmentOf), victims.map(segmentOf));
      const victim = await probeOf('minion2', 'victim');
      await listen(victim);
      for (const address of remade) {
        await waitFor(`${address} to answer`, async () => (await client.udp(address, OPEN)) === 'open');
        assert.equal(await teller.udp(address, TOLD), 'open', 'peers that labels name are known still');
        assert.equal(await client.tcp(address, OPEN), 'open');
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
    const stop = await traffic(await cluster.addressesOf(`${NS}/server`));
    await cluster.node('master').kill('etcd');
    await waitFor('the API server to write again', () => annotate('etcd'), { timeoutMs: PATIENCE_MS, everyMs: 200 });
    await cluster.apply(segmentPod('later', 'minion1', { segment: 'client' }));
    await cluster.ready(`${NS}/later`, PATIENCE_MS);
    await stop();
  });

  async function annotate(value: string): Promise<boolean> {
    await cluster.kubectl('annotate', 'namespace', NS, `test=${value}`, '--overwrite', '--request-timeout=5s');
    return textAt(await cluster.client.get(NAMESPACES, NS), 'metadata', 'annotations', 'test') === value;
  }
});

function segmentPod(name: string, node: string, labels: Readonly<Record<string, string>>): object {
  return clientPod({ namespace: NS, name, node, labels, spec: { automountServiceAccountToken: false } });
}

/** Lets pods with these labels in to the servers, at one port. */
function allow(name: string, from: object, port: number): object {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { namespace: NS, name },
    spec: {
      podSelector: { matchLabels: { segment: 'server' } },
      ingress: [
        {
          from: [{ podSelector: { matchLabels: from } }],
          ports: ['TCP', 'UDP'].map((protocol) => ({ protocol, port })),
        },
      ],
    },
  };
}

async function listen(probe: Probe): Promise<void> {
  for (const port of [OPEN, TOLD, CLOSED]) await Promise.all([probe.listenTcp(port), probe.listenUdp(port)]);
}

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

function segmentOf(address: string): object {
  for (const plan of DEFAULT_PLANS) {
    const fields = decode(plan, unwrap(parseAddress(address)));
    if (fields !== undefined) return { tenant: fields.tenant, segment: fields.segment, pool: fields.pool };
  }
  return assert.fail(`no plan has ${address}`);
}

/** The victim's addresses when they are others than they were. */
function renewed(node: KubeNode, before: readonly string[]): readonly string[] | undefined {
  const leases = leasesAt(node).filter(({ namespace, pod }) => namespace === NS && pod === 'victim');
  const found = leases.flatMap(({ addresses }) => addresses);
  return found.length === 2 && !found.some((address) => before.includes(address)) ? found : undefined;
}
