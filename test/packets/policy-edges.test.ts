import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { Conntrack } from '../../src/kernel/conntrack.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { PODS } from '../../src/objects/resources.ts';
import { CONTROL_PORT } from '../support/rig-host.ts';
import { judge } from '../support/rig-judge.ts';
import { RigPolicies } from '../support/rig-policies.ts';
import { Rig } from '../support/rig.ts';
import type { RigPod } from '../support/rig-pod.ts';

const FAMILIES = [4, 6] as const;
/** Of a Service, in both families. */
const SERVICE = { 4: '10.96.0.7', 6: 'fd96::7' } as const;
/** A verdict that has turned has to be in force so soon after the change was written. */
const TURNED_MS = 1_000;
/** For an echo that is not expected, in milliseconds. */
const SHORT_MS = 50;
const ENTRIES = 100_000;
const app = (value: string): object => ({ matchLabels: { app: value } });
const named = (name: string): object => ({ matchLabels: { 'kubernetes.io/metadata.name': name } });

/** Makes connections of a host with itself, each an entry of conntrack: two sockets to all ports. */
const FILL = `
const dgram = require('node:dgram');
const sockets = [0, 1].map(() => dgram.createSocket('udp4').on('error', () => undefined));
const sends = sockets.map((socket) => new Promise((resolve) => {
  let port = 1_024;
  const next = () => {
    for (let n = 0; n < 200 && port < 65_000; n += 1, port += 1) socket.send('x', port, '127.0.0.1');
    if (port < 65_000) setImmediate(next);
    else socket.send('x', port, '127.0.0.1', resolve);
  };
  socket.bind(0, '127.0.0.1', next);
}));
Promise.all(sends).then(() => process.exit(0));
`;

/** Waits until nothing of what is tried works any more. */
async function gone(what: string, tried: () => Promise<string>, timeoutMs: number): Promise<void> {
  await waitFor(what, async () => /^(false,false|timeout,timeout)$/.test(await tried()), { timeoutMs });
}

/** Everybody but a pod, as peers. */
function except(pod: RigPod): object[] {
  return FAMILIES.map((f) => ({
    ipBlock: { cidr: f === 4 ? '0.0.0.0/0' : '::/0', except: [`${pod.address(f)}/${f === 4 ? 32 : 128}`] },
  }));
}

void describe('policies on packets, where it is not plain', () => {
  let rig: Rig;
  let policies: RigPolicies;
  before(async () => {
    rig = await Rig.start();
    policies = new RigPolicies(rig);
  });
  afterEach(async () => {
    await policies.clear();
    await rig.clear();
  });
  after(() => rig[Symbol.asyncDispose]());

  /** A client on the first host, and a server on each. */
  async function makePods(namespace: string): Promise<[client: RigPod, near: RigPod, far: RigPod]> {
    await rig.namespace(namespace);
    return Promise.all([
      rig.pod({ namespace, name: 'client', labels: { app: 'client' } }),
      rig.pod({ namespace, name: 'near', labels: { app: 'near' } }),
      rig.pod({ namespace, name: 'far', labels: { app: 'far' }, host: 1 }),
    ]);
  }

  /** Translates the Service's port 80 to port 81 of a pod, as kube-proxy does, on the first host. */
  async function serve(to: RigPod): Promise<void> {
    const rules = FAMILIES.flatMap((family) => {
      const ip = family === 4 ? 'ip' : 'ip6';
      const target = family === 4 ? to.address(4) : `[${to.address(6)}]`;
      return [
        `add rule inet services nat ${ip} daddr ${SERVICE[family]} tcp dport 80 dnat ${ip} to ${target}:81`,
        // A pod that reaches itself through its Service does so under the node's address.
        `add rule inet services hairpin ct status dnat ${ip} saddr ${to.address(family)} ${ip} daddr ${to.address(family)} masquerade`,
      ];
    });
    const text = [
      'add table inet services',
      'delete table inet services',
      'add table inet services',
      'add chain inet services nat { type nat hook prerouting priority dstnat; }',
      'add chain inet services hairpin { type nat hook postrouting priority srcnat - 5; }',
      ...rules,
    ];
    await rig.host(0).ns.run(['nft', text.join('; ')]);
  }

  async function throughService(from: RigPod, to: RigPod): Promise<string> {
    await rig.settled();
    const attempts = FAMILIES.map((family) => {
      return { from, to, protocol: 'tcp', port: 80, family, service: SERVICE[family] } as const;
    });
    return (await judge(attempts)).join(' ');
  }

  void test('R19: egress is judged after service translation, by the pods behind the Service', async () => {
    const namespace = 'r19';
    const [client, near, far] = await makePods(namespace);
    const egress = (...rules: object[]): Promise<void> =>
      policies.v1(namespace, 'p', { podSelector: app('client'), policyTypes: ['Egress'], egress: rules });
    for (const backend of [near, far]) {
      await serve(backend);
      await egress({ to: [{ podSelector: app(backend.name) }], ports: [{ port: 81 }] });
      assert.equal(await throughService(client, backend), 'open open', backend.name);
      await egress({ to: [{ podSelector: app(backend.name) }], ports: [{ port: 80 }] });
      assert.equal(await throughService(client, backend), 'dropped dropped', `${backend.name}, by the Service's port`);
      const services = FAMILIES.map((family) => ({
        ipBlock: { cidr: `${SERVICE[family]}/${family === 4 ? 32 : 128}` },
      }));
      await egress({ to: services });
      assert.equal(
        await throughService(client, backend),
        'dropped dropped',
        `${backend.name}, by the Service's address`,
      );
    }
  });

  void test('R20: a pod always reaches itself, also behind its own Service', async () => {
    const namespace = 'r20';
    const [client, near] = await makePods(namespace);
    await policies.v1(namespace, 'deny-all', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
    await policies.cluster('deny-all', {
      subject: { namespaces: named(namespace) },
      ingress: [{ action: 'Deny', from: [{ namespaces: {} }] }],
      egress: [{ action: 'Deny', to: [{ namespaces: {} }] }],
    });
    await serve(client);
    assert.equal(await throughService(client, client), 'open open');
    assert.equal(await throughService(near, client), 'dropped dropped');
    for (const family of FAMILIES) assert.equal(await client.probe.tcp(client.address(family), 80), 'open');
  });

  void test('R6: a hostNetwork pod is neither subject nor peer of a policy', async () => {
    const namespace = 'r6';
    const [client, near, far] = await makePods(namespace);
    const host = rig.host(1);
    const { client: api } = rig.api;
    const labels = { app: 'on-host' };
    const spec = { nodeName: host.name, hostNetwork: true, containers: [{ name: 'main', image: 'nginx' }] };
    await api.create(PODS, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'on-host', labels }, spec }, namespace);
    const podIPs = host.addresses.map((ip) => ({ ip }));
    const status = { phase: 'Running', podIP: podIPs[0]?.ip, podIPs };
    await api.patch(PODS, 'on-host', { status }, { namespace, subresource: 'status' });
    await policies.v1(namespace, 'p', { podSelector: {}, ingress: [{ from: [{ podSelector: app('on-host') }] }] });
    await rig.settled();
    assert.equal(await rig.reach(host, near, 'tcp', 80), 'dropped', 'no peer: the address is the node');
    assert.equal(await rig.reach(host, far, 'tcp', 80), 'open', 'the host of the pod');
    assert.equal(await rig.reach(client, near, 'tcp', 80), 'dropped');
    for (const address of host.addresses) {
      assert.equal(await client.probe.udp(address, CONTROL_PORT), 'open', 'no subject: the node answers');
    }
    await api.delete(PODS, 'on-host', { namespace, gracePeriodSeconds: 0 });
  });

  void test('R21: ping and ping6 are policed in both directions', async () => {
    const namespace = 'r21';
    const [client, near, far] = await makePods(namespace);
    const ping = async (to: RigPod, family: 4 | 6): Promise<boolean> => {
      const { status } = await client.ns.try(['ping', '-n', '-c', '3', '-i', '0.01', '-W', '0.3', to.address(family)]);
      return status === 0;
    };
    const pings = async (): Promise<boolean[]> => {
      await rig.settled();
      return Promise.all([near, far].flatMap((pod) => FAMILIES.map((family) => ping(pod, family))));
    };
    await policies.v1(namespace, 'p', { podSelector: {}, ingress: [{ ports: [{ protocol: 'TCP' }] }] });
    assert.deepEqual(await pings(), [false, false, false, false], 'no port is ICMP');
    await policies.v1(namespace, 'p', { podSelector: {}, ingress: [{ from: [{ podSelector: app('client') }] }] });
    assert.deepEqual(await pings(), [true, true, true, true]);
    await policies.cluster('deny-all', {
      subject: { namespaces: named(namespace) },
      egress: [{ action: 'Deny', to: [{ nodes: {} }, { networks: ['0.0.0.0/0', '::/0'] }] }],
    });
    assert.deepEqual(await pings(), [false, false, false, false]);
  });

  void test('a policy that names the same peers by another label cuts none of their connections; one that forbids them does, within 1 s', async () => {
    const namespace = 'renamed';
    await rig.namespace(namespace);
    const labels = { app: 'client', segment: 'c' };
    const [server, client] = await Promise.all([
      rig.pod({ namespace, name: 'server', labels: { app: 'server' } }),
      rig.pod({ namespace, name: 'client', labels, host: 1 }),
    ]);
    const from = async (matchLabels: object): Promise<void> => {
      await policies.v1(namespace, 'p', {
        podSelector: app('server'),
        ingress: [{ from: [{ podSelector: { matchLabels } }] }],
      });
      await rig.settled();
    };
    const cut = async (): Promise<number> =>
      (await rig.host(0).metrics()).get('romana_agent_connections_cut_total') ?? Number.NaN;
    await from({ segment: 'c' });
    const connections = await Promise.all(FAMILIES.map((family) => client.probe.open(server.address(family), 80)));
    const before = await cut();
    await from({ app: 'client' });
    assert.equal(await cut(), before);
    const working = await Promise.all(connections.map((connection) => connection.exchange({ timeoutMs: 5_000 })));
    assert.deepEqual(working, [true, true]);
    assert.equal(await rig.reach(client, server, 'tcp', 80), 'open');
    await from({ app: 'other' });
    await waitFor('both to be cut', async () => (await cut()) >= before + 2, { timeoutMs: TURNED_MS });
  });

  void test('R4: what egress, blocks and own hosts forbid is cut within 1 s beside 100,000 entries, and nothing else', async () => {
    const namespace = 'r4';
    const [client, near, far] = await makePods(namespace);
    const own = rig.host(0);
    const open = (to: { address(family: 4 | 6): string }, port = 80) =>
      Promise.all(FAMILIES.map((family) => client.probe.open(to.address(family), port)));
    const hostOf = { address: (family: 4 | 6): string => own.addresses[family === 4 ? 0 : 1] };
    const [toNear, toFar, toHost] = await Promise.all([open(near), open(far), open(hostOf, CONTROL_PORT)]);
    const working = async (of: Awaited<ReturnType<typeof open>>, timeoutMs = 1_000): Promise<string> =>
      (await Promise.all(of.map((connection) => connection.exchange({ timeoutMs })))).join();
    const udp = async (timeoutMs = 1_000): Promise<string> => {
      const options = { timeoutMs, sourcePort: 40_000 };
      return (await Promise.all(FAMILIES.map((f) => client.probe.udp(far.address(f), 80, options)))).join();
    };
    assert.deepEqual(
      [await working(toNear), await working(toFar), await working(toHost), await udp()],
      ['true,true', 'true,true', 'true,true', 'open,open'],
    );
    await own.ns.run([process.execPath, '-e', FILL], { timeoutMs: 60_000 });
    using conntrack = Conntrack.open({ netns: own.ns.path });
    const begin = performance.now();
    assert.ok(conntrack.list().length >= ENTRIES, `only ${conntrack.count()} entries`);
    // A third of a second, unless the machine has much else to do.
    const turnedMs = Math.max(TURNED_MS, 3 * (performance.now() - begin));
    await policies.v1(namespace, 'p', {
      podSelector: app('client'),
      policyTypes: ['Egress'],
      egress: [{ to: except(far) }],
    });
    await Promise.all([
      gone('the connections that the block forbids', () => working(toFar, SHORT_MS), turnedMs),
      gone('the datagrams that the block forbids', () => udp(SHORT_MS), turnedMs),
    ]);
    assert.deepEqual([await working(toNear), await working(toHost)], ['true,true', 'true,true'], 'others go on');
    await policies.cluster('no-host', {
      subject: { pods: { namespaceSelector: named(namespace), podSelector: app('client') } },
      egress: [{ action: 'Deny', to: [{ nodes: {} }] }],
    });
    await gone('the connections to the host', () => working(toHost, SHORT_MS), turnedMs);
    assert.equal(await working(toNear), 'true,true');
  });
});
