import assert from 'node:assert/strict';
import { existsSync, globSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { after, before, suite, test } from 'node:test';
import type { HttpKubeClient } from '../../src/kube/http-client.ts';
import { podLogs } from '../../src/kube/logs.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import type { NodeLayout } from '../../src/local/cluster-layout.ts';
import { down } from '../../src/local/down.ts';
import { join, leave } from '../../src/local/join-leave.ts';
import { conditionOf, objectsAt, textAt } from '../../src/local/kube-json.ts';
import { isOn, nodeProcess } from '../../src/local/nodes.ts';
import { powerOff } from '../../src/local/power-off.ts';
import { powerOn } from '../../src/local/power-on.ts';
import { runCommand } from '../../src/local/run-command.ts';
import { findNode } from '../../src/local/shell.ts';
import { servicesOf } from '../../src/local/services.ts';
import { clusterStatus } from '../../src/local/status.ts';
import { up } from '../../src/local/up.ts';
import { ALPHA_ISOLATION } from '../../src/objects/namespace.ts';
import { DEMO_POLICIES, NAMESPACES, NODES, PODS } from '../../src/objects/resources.ts';
import { machineState } from './machine-state.ts';
import { CHECKOUT, peopleClient, TEST_BASE, testLayout, upOptions } from './test-cluster.ts';

const skip = process.getuid?.() === 0 ? false : 'needs root';
const NAMESPACE = 'off';
const PORT = 8000;
/** Writes down who sends; at SIGTERM it says good-bye and takes its time. */
const LISTEN = `
  const { createSocket } = require('node:dgram');
  for (const type of ['udp4', 'udp6']) {
    const socket = createSocket({ type, ipv6Only: type === 'udp6' });
    socket.on('message', (text) => console.log(type + ' ' + text)).bind(${PORT});
  }
  process.on('SIGTERM', () => setTimeout(() => { console.log('good-bye'); process.exit(0); }, 300));
`;
/** Sends its name to all addresses, again and again, always from the same port. */
const SEND = `
  const { createSocket } = require('node:dgram');
  const [, name, ...addresses] = process.argv;
  const sockets = { 4: createSocket('udp4'), 6: createSocket('udp6') };
  const send = () => addresses.forEach((a) => sockets[a.includes(':') ? 6 : 4].send(name, ${PORT}, a, () => undefined));
  setInterval(send, 5);
`;

/** A path in the node's own file system. */
const inNode = (node: NodeLayout, path: string): string => `/proc/${nodeProcess(node)?.pid}/root${path}`;

suite('nodes of a local cluster that go off and on', { skip }, () => {
  const layout = testLayout('off', 2);
  const [master, minion1, minion2] = layout.nodes as [NodeLayout, NodeLayout, NodeLayout];
  let client: HttpKubeClient;
  let machine = '';

  before(async () => {
    machine = await machineState(layout.name);
    await up(upOptions(layout, (node) => servicesOf(node, CHECKOUT, undefined)));
    client = peopleClient(layout);
    await client.create(NAMESPACES, { metadata: { name: NAMESPACE } });
  });
  after(async () => {
    await client.close();
    await down(layout.name, TEST_BASE);
    assert.equal(await machineState(layout.name), machine);
  });

  async function create(name: string, node: NodeLayout, program: string, words: readonly string[] = []): Promise<void> {
    const command = [process.execPath, '-e', program, ...words];
    const containers = [{ name: 'main', image: 'any', command }];
    const metadata = { name, namespace: NAMESPACE, labels: { segment: name.split('-')[0] } };
    const spec = { nodeName: node.name, terminationGracePeriodSeconds: 5, containers };
    await client.create(PODS, { metadata, spec });
  }

  const pod = (name: string): Promise<unknown> => client.get(PODS, name, NAMESPACE);

  /** Its addresses, when it runs since that many restarts. */
  const running = (name: string, restarts = 0): Promise<string[]> =>
    waitFor(
      `pod ${name} to run`,
      async () => {
        const json = await pod(name);
        const restarted = objectsAt(json, 'status', 'containerStatuses').some((c) => c['restartCount'] === restarts);
        if (!restarted || conditionOf(json, 'Ready')?.status !== 'True') return false;
        return objectsAt(json, 'status', 'podIPs').map(({ ip }) => String(ip));
      },
      { timeoutMs: 30_000 },
    );

  async function logOf(name: string, previous = false): Promise<string> {
    let text = '';
    for await (const chunk of podLogs(client, { namespace: NAMESPACE, pod: name, previous })) {
      text += Buffer.from(chunk).toString();
    }
    return text;
  }

  const arrives = (name: string, from: string, times = 1): Promise<string> =>
    waitFor(`${times} datagrams of ${from} at ${name}, in both families`, async () => {
      const lines = (await logOf(name)).split('\n');
      const count = (family: string): number => lines.filter((line) => line === `${family} ${from}`).length;
      return count('udp4') >= times && count('udp6') >= times && lines.join('\n');
    });

  const readyOf = async (node: NodeLayout): Promise<string> =>
    conditionOf(await client.get(NODES, node.name), 'Ready')?.status ?? '';

  function start(...nodes: readonly NodeLayout[]): ReturnType<typeof powerOn> {
    const { checkout, connect, signal, readyMs } = upOptions(layout, () => []);
    return powerOn({ layout, nodes, checkout, connect, signal, readyMs });
  }

  test('R29: what was made while a node had no power is in force at the first packet of its pods, old and new', async () => {
    await Promise.all([create('server', minion1, LISTEN), create('doomed', minion1, LISTEN)]);
    const targets = [...(await running('server')), ...(await running('doomed'))];
    for (const name of ['friend', 'foe']) await create(name, minion2, SEND, [name, ...targets]);
    for (const from of ['friend', 'foe']) await Promise.all([arrives('server', from), arrives('doomed', from)]);

    const first = nodeProcess(minion1);
    await runCommand('ip', ['-netns', minion1.netns, 'link', 'add', 'mark', 'type', 'bridge']);
    for (const file of ['/run/mark', '/etc/mark', '/var/lib/mark']) writeFileSync(inNode(minion1, file), '');
    await powerOff(layout, minion1, 'cut');
    assert.equal(isOn(minion1), false);
    assert.equal(existsSync(`/proc/${first?.pid}`), false);
    assert.deepEqual((await clusterStatus(layout, client)).problems, [
      'minion1 does not run; start it: romana local node start minion1',
    ]);
    // The next two make the address of the pod that is forgotten that of one that takes nothing.
    await client.delete(PODS, 'doomed', { namespace: NAMESPACE, gracePeriodSeconds: 0 });
    await create('doomed-heir', minion1, LISTEN);
    await client.patch(NAMESPACES, NAMESPACE, { metadata: { annotations: { [ALPHA_ISOLATION]: 'on' } } });
    const allowIncoming = { from: [{ pods: { segment: 'friend' } }] };
    const spec = { podSelector: { segment: 'server' }, allowIncoming };
    await client.create(DEMO_POLICIES, { metadata: { name: 'friends', namespace: NAMESPACE }, spec });
    await waitFor('minion1 to be doubted', async () => (await readyOf(minion1)) === 'Unknown', { timeoutMs: 30_000 });
    assert.equal(conditionOf(await pod('server'), 'Ready')?.status, 'False');

    assert.deepEqual(await start(minion1), [minion1]);
    assert.deepEqual([...(await running('server', 1)), ...(await running('doomed-heir'))], targets);
    const heard = await arrives('server', 'friend', 50);
    assert.doesNotMatch(heard, /foe/);
    assert.equal(await logOf('doomed-heir'), '');
    const leases = readdirSync(inNode(minion1, '/run/romana/leases'));
    assert.equal(leases.length, 2, leases.join(' '));
    const kept = ['/run/mark', '/etc/mark', '/var/lib/mark'].filter((file) => existsSync(inNode(minion1, file)));
    assert.deepEqual(kept, ['/var/lib/mark']);
    assert.doesNotMatch(await runCommand('ip', ['-netns', minion1.netns, '-brief', 'link']), /^mark/m);
  });

  test('a node that is shut down ends its pods by SIGTERM, says that it goes, and boots as it was', async () => {
    await powerOff(layout, minion1, 'shutdown');
    assert.equal(await readyOf(minion1), 'False');
    assert.equal(conditionOf(await client.get(NODES, 'minion1'), 'Ready')?.message, 'node is shutting down');
    const ended = objectsAt(await pod('server'), 'status', 'containerStatuses')[0];
    assert.equal(textAt(ended, 'state', 'terminated', 'reason'), 'Completed');
    assert.deepEqual(await start(minion1), [minion1]);
    assert.deepEqual(await start(minion1), []);
    await running('server', 2);
    assert.match(await logOf('server', true), /good-bye\n$/);
    assert.doesNotMatch(await arrives('server', 'friend', 50), /foe/);
  });

  test('a node that joins under a new name has pods that others reach; when it leaves, nothing of it is left', async () => {
    const { checkout, connect, signal, readyMs, making } = upOptions(layout, (node) =>
      servicesOf(node, CHECKOUT, undefined),
    );
    const minion = { name: 'late', number: 4 };
    const grown = await join({ layout, making, minion, checkout, connect, signal, readyMs });
    const late = findNode(grown, 'late');
    const [address = '', address6 = ''] = late.addresses;
    const routes = async (node: NodeLayout): Promise<boolean> => {
      const texts = await Promise.all(
        ['-4', '-6'].map((family) => runCommand('ip', [family, '-netns', node.netns, 'route', 'show', 'proto', '82'])),
      );
      const through = [address, address6].map((gateway) => texts.join('').includes(` via ${gateway} `));
      assert.equal(through[0], through[1]);
      return through[0] ?? false;
    };
    await create('friend-late', late, SEND, ['late', ...(await running('server', 2))]);
    await create('server-late', late, LISTEN);
    await create('friend-here', minion2, SEND, ['here', ...(await running('server-late'))]);
    assert.doesNotMatch(await arrives('server', 'late'), /foe/);
    await arrives('server-late', 'here');
    assert.deepEqual(await Promise.all([master, minion1, minion2].map(routes)), [true, true, true]);

    await leave({ layout: grown, node: late, connect });
    const gone = async (): Promise<boolean> =>
      !(await Promise.all([master, minion1, minion2].map(routes))).includes(true);
    await waitFor('the routes to it to be gone', gone);
    assert.deepEqual(
      (await clusterStatus(layout, client)).nodes.map(({ name }) => name),
      ['master', 'minion1', 'minion2'],
    );
    assert.ok(!existsSync(late.directory) && !existsSync(`${layout.netnsDirectory}/${late.netns}`));
  });

  test('a master without power: pods go on; it comes back at the same port with what it knew', async () => {
    await powerOff(layout, master, 'cut');
    await assert.rejects(client.list(NODES));
    const [log] = globSync(`${minion1.directory}/log/pods/*_server_*/main.2.log`);
    const length = (): number => statSync(log ?? '').size;
    const before = length();
    await waitFor('more datagrams', () => length() > before);
    assert.deepEqual(await start(...layout.nodes), [master]);
    // The API server had it Ready from before.
    assert.ok(existsSync(inNode(master, '/etc/cni/net.d/10-romana.conflist')), 'the agent is at work');
    assert.doesNotMatch(await arrives('server', 'friend', 50), /foe/);
    assert.equal(textAt(objectsAt(await pod('server'), 'status', 'podIPs')[0], 'ip'), (await running('server', 2))[0]);
    await waitFor('all to be well', async () => (await clusterStatus(layout, client)).problems.length === 0);
  });
});
