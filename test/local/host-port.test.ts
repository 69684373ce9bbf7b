import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, suite, test } from 'node:test';
import type { HttpKubeClient } from '../../src/kube/http-client.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { bringDown } from '../../src/local/bring-down.ts';
import type { NodeLayout } from '../../src/local/cluster-layout.ts';
import { objectsAt, textAt } from '../../src/local/kube-json.ts';
import { nodeProcess } from '../../src/local/nodes.ts';
import { servicesOf } from '../../src/local/services.ts';
import { up } from '../../src/local/up.ts';
import { EVENTS, NAMESPACES, PODS } from '../../src/objects/resources.ts';
import { CHECKOUT, CNI_PLUGINS, NGINX, peopleClient, testLayout, upOptions } from './test-cluster.ts';

const missing = Object.entries({ "Debian's CNI plugins": CNI_PLUGINS, "Debian's nginx": NGINX });
const absent = missing.flatMap(([what, folder]) => (folder === undefined ? [what] : []));
const skip = absent.length > 0 ? `without ${absent.join(' and ')}, which the set-up unpacks` : false;
const NAMESPACE = 'ports';
const HOST_PORT = 8_080;

suite('hostPort and bandwidth in a local cluster', { skip }, () => {
  const layout = testLayout('ports', 1);
  const [, minion] = layout.nodes as [NodeLayout, NodeLayout];
  let client: HttpKubeClient;

  before(async () => {
    await up(upOptions(layout, (node) => servicesOf(node, CHECKOUT, NGINX)));
    client = peopleClient(layout);
    await client.create(NAMESPACES, { metadata: { name: NAMESPACE } });
  });
  after(async () => {
    await client?.close();
    await bringDown(layout);
  });

  const inNode = (...command: string[]): string =>
    execFileSync('nsenter', ['--target', String(nodeProcess(minion)?.pid), '--mount', '--net', '--', ...command], {
      encoding: 'utf8',
    });

  async function create(name: string, annotations: object, ports: readonly object[]): Promise<void> {
    const metadata = { name, namespace: NAMESPACE, labels: { segment: name }, annotations };
    const spec = { nodeName: minion.name, containers: [{ name: 'main', image: 'nginx', ports }] };
    await client.create(PODS, { metadata, spec });
  }

  /** Whether nginx answers at the node's address, asked from the fabric, which is no node. */
  const answers = (address: string): boolean => {
    const url = `http://${address.includes(':') ? `[${address}]` : address}:${HOST_PORT}/`;
    const words = ['netns', 'exec', layout.fabric, 'curl', '-sS', '-o', '/dev/null', '--max-time', '2', url];
    try {
      execFileSync('ip', words, { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  };
  void test('a pod is reached from outside at its hostPort and shaped by its annotations', async () => {
    const list = JSON.parse(inNode('cat', '/etc/cni/net.d/10-romana.conflist')) as { plugins: { type: string }[] };
    assert.deepEqual(
      list.plugins.map(({ type }) => type),
      ['romana', 'portmap', 'bandwidth'],
    );
    const bandwidth = { 'kubernetes.io/ingress-bandwidth': '80M', 'kubernetes.io/egress-bandwidth': '40M' };
    await create('web', bandwidth, [{ containerPort: 80, hostPort: HOST_PORT }]);
    for (const address of minion.addresses) {
      await waitFor(`an answer at ${address}`, () => answers(address), { timeoutMs: 20_000 });
    }
    const shaping = inNode('tc', 'qdisc', 'show');
    assert.match(shaping, /qdisc tbf .* dev roma[0-9a-f]{11} .*rate 80Mbit/);
    assert.match(shaping, /qdisc tbf .* rate 40Mbit/);

    await client.delete(PODS, 'web', { namespace: NAMESPACE });
    await waitFor('nothing to be left of it', () => !/tbf/.test(inNode('tc', 'qdisc', 'show')), { timeoutMs: 20_000 });
    assert.doesNotMatch(inNode('iptables', '-t', 'nat', '-S'), new RegExp(String(HOST_PORT)));
  });

  void test('a bandwidth that cannot be read is told of in an event of the pod', async () => {
    await create('odd', { 'kubernetes.io/egress-bandwidth': 'fast' }, []);
    const said = await waitFor('the event', async () => {
      const { items } = await client.list(EVENTS, { namespace: NAMESPACE });
      return items.map((event) => textAt(event, 'message')).find((message) => message.includes('egress-bandwidth'));
    });
    assert.match(said, /Failed to create pod sandbox: the annotation kubernetes\.io\/egress-bandwidth must be bits/);
    const pod = await client.get(PODS, 'odd', NAMESPACE);
    assert.deepEqual(objectsAt(pod, 'status', 'podIPs'), []);
    await client.delete(PODS, 'odd', { namespace: NAMESPACE });
  });
});
