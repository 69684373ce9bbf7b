import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { MAY } from '../../src/cli/install/permissions-fixture.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { at, objectsAt, stringsAt, textAt } from '../../src/local/kube-json.ts';
import { runCommand } from '../../src/local/run-command.ts';
import { NODES, PODS } from '../../src/objects/resources.ts';
import { KubeCluster, NO_KUBERNETES } from '../support/kube-cluster.ts';
import { permittedTo } from '../support/kube-permissions.ts';
import { PodChurn } from '../support/pod-churn.ts';
import { podProbe } from '../support/pod-probe.ts';
import type { Probe } from '../support/probe.ts';

const TOP = resolve(import.meta.dirname, '../..');
const SYSTEM = 'romana-system';
const AGENTS = 'app.kubernetes.io/component=agent';
const AGENT_PORT = 9671;
const OTHER_VERSION = '0.0.0-other';
const OPEN = 80;
const CLOSED = 81;
/** Pods that come and go at once. */
const CHURN = 5;
/** Where they stand in the masks of /proc/PID/status (linux/capability.h). */
const CAPABILITY_BITS: Readonly<Record<string, bigint>> = { NET_ADMIN: 12n, SYS_ADMIN: 21n };

suite('the agent as a pod', { skip: NO_KUBERNETES }, () => {
  let folder = '';
  let cluster: KubeCluster;
  let client: Probe;
  let server: Probe;
  let addresses: readonly string[] = [];

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'romana-other-image-'));
    const archive = join(folder, 'romana.tar');
    cluster = await KubeCluster.up({ minions: 2 });
    await runCommand('sh', [join(TOP, 'image/build.sh'), '--version', OTHER_VERSION, '--out', archive]);
    await cluster.loadImage(archive);
    await cluster.apply(
      {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: 'up', annotations: { 'net.alpha.kubernetes.io/network-isolation': 'on' } },
      },
      podOf('client', 'minion1'),
      podOf('server', 'minion2'),
      {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'NetworkPolicy',
        metadata: { name: 'open', namespace: 'up' },
        spec: {
          podSelector: { matchLabels: { segment: 'server' } },
          ingress: [
            {
              from: [{ podSelector: { matchLabels: { segment: 'client' } } }],
              ports: ['TCP', 'UDP'].map((protocol) => ({ protocol, port: OPEN })),
            },
          ],
        },
      },
    );
    await cluster.ready('up/client');
    await cluster.ready('up/server');
    addresses = await cluster.addressesOf('up/server');
    client = await podProbe(cluster.node('minion1'), 'up', 'client');
    server = await podProbe(cluster.node('minion2'), 'up', 'server');
    for (const port of [OPEN, CLOSED]) await Promise.all([server.listenTcp(port), server.listenUdp(port)]);
    for (const address of addresses) {
      await waitFor(`${address} to answer`, async () => (await client.udp(address, OPEN)) === 'open', {
        timeoutMs: 20_000,
      });
    }
  });
  after(async () => {
    await client?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
    await cluster?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  test('has the capabilities that its manifest lists and no others, and can gain none', async () => {
    const [pod] = await agents();
    const status = await inAgent(pod, "require('fs').readFileSync('/proc/self/status', 'utf8')");
    const field = (name: string): string => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1] ?? 'missing';
    const listed = capabilitiesOf('deploy/base/agent.yaml');
    const mask = listed.reduce((sum, name) => sum | (1n << (CAPABILITY_BITS[name] ?? 63n)), 0n);
    for (const set of ['CapPrm', 'CapEff', 'CapBnd']) assert.equal(BigInt(`0x${field(set)}`), mask, set);
    for (const set of ['CapInh', 'CapAmb']) assert.equal(BigInt(`0x${field(set)}`), 0n, set);
    assert.equal(field('NoNewPrivs'), '1');
    assert.equal(field('Seccomp'), '2', 'the runtime filters system calls');
    assert.match(await inAgent(pod, "require('fs').writeFileSync('/new', '')"), /EROFS/);
  });

  test('serves metrics at the address of its node and at no other, with its version', async () => {
    const minion = cluster.node('minion1');
    const [address = ''] = await nodeAddresses('minion1');
    assert.match(
      await minion.run('curl', '-s', `http://${address}:${AGENT_PORT}/metrics`),
      /^romana_build_info\{version="/m,
    );
    await assert.rejects(
      minion.run('curl', '-sS', '-m', '5', `http://127.0.0.1:${AGENT_PORT}/metrics`),
      /refused|connect/,
    );
  });

  test('R23: pods that come and go on another node cost it not a byte, bookmarks aside', async () => {
    const churn = Array.from({ length: CHURN }, (_, n) => podOf('churn', 'minion2', `churn-${n}`));
    const names = churn.map(({ metadata: { name } }) => name);
    const costs: number[] = [];
    // The first ones cost the id of their segment, and its own pods may have news at first.
    while (costs.length < 2 || (costs.at(-1) !== 0 && costs.length < 4)) {
      const before = await newsTo('minion1');
      await cluster.apply(...churn);
      for (const name of names) await cluster.ready(`up/${name}`);
      await cluster.kubectl('-n', 'up', 'delete', 'pods', ...names, '--wait=true');
      costs.push((await newsTo('minion1')) - before);
    }
    assert.equal(costs.at(-1), 0, `bytes: ${costs.join(', ')}`);
  });

  test('R9: is upgraded and downgraded under traffic: nothing allowed is lost, nothing forbidden passes, pods come and go, and nodes stay Ready', async () => {
    const image = await imageOf();
    const readySince = await readiness();
    const streams = await Promise.all(addresses.map((address) => client.stream(address, OPEN)));
    const floods = await Promise.all(addresses.map((address) => client.flood(address, CLOSED)));
    const churn = new PodChurn(cluster, podOf('churn', 'minion1'));
    for (const wanted of [`romana:${OTHER_VERSION}`, image]) {
      await cluster.kubectl('-n', SYSTEM, 'set', 'image', 'daemonset/romana-agent', `agent=${wanted}`);
      await cluster.kubectl('-n', SYSTEM, 'rollout', 'status', 'daemonset/romana-agent', '--timeout=120s');
      const versions = new Set(await Promise.all((await agents()).map((pod) => versionOf(pod))));
      assert.deepEqual([...versions], [wanted.slice(wanted.indexOf(':') + 1)]);
    }
    const churned = await churn.stop();
    await Promise.all(floods.map((flood) => flood.stop()));
    for (const stream of streams) {
      const { sent, echoed, connects, connected } = await stream.stop();
      assert.deepEqual({ echoed, connected }, { echoed: sent, connected: connects });
      assert.ok(sent > 100 && connects > 10, `${sent} datagrams and ${connects} connections`);
    }
    assert.deepEqual(await server.received('udp', CLOSED), new Map());
    assert.ok(churned > 1, `${churned} pods came and went`);
    assert.deepEqual(await readiness(), readySince);
    await waitFor('the leases of pods that are gone to go', () => leasesOf('churn').length === 0, {
      timeoutMs: 30_000,
    });
  });

  for (const [account, may] of Object.entries(MAY)) {
    test(`the authorizers let ${account} do what it does, and nothing else`, async () => {
      assert.deepEqual(await permittedTo(cluster, account), may);
    });
  }

  test('leaves network and configuration where they are when its DaemonSet is deleted', async () => {
    const manifest = await cluster.get('apps/v1', 'DaemonSet', 'romana-agent', SYSTEM);
    const { apiVersion, kind, spec } = manifest as { apiVersion: string; kind: string; spec: object };
    const labels = at(manifest, 'metadata', 'labels');
    const streams = await Promise.all(addresses.map((address) => client.stream(address, OPEN)));
    await cluster.kubectl('-n', SYSTEM, 'delete', 'daemonset', 'romana-agent');
    await waitFor('the agents to be gone', async () => (await agents()).length === 0, { timeoutMs: 60_000 });
    for (const { name } of cluster.layout.nodes) {
      const node = cluster.node(name);
      for (const file of ['/etc/cni/net.d/10-romana.conflist', '/opt/cni/bin/romana'])
        assert.ok(existsSync(node.file(file)));
    }
    await cluster.apply({ apiVersion, kind, metadata: { name: 'romana-agent', namespace: SYSTEM, labels }, spec });
    await cluster.kubectl('-n', SYSTEM, 'rollout', 'status', 'daemonset/romana-agent', '--timeout=120s');
    for (const stream of streams) {
      const { sent, echoed, connects, connected } = await stream.stop();
      assert.deepEqual({ echoed, connected }, { echoed: sent, connected: connects });
    }
  });

  /** The names of the agents' pods. */
  async function agents(): Promise<readonly string[]> {
    const { items } = await cluster.client.list(PODS, { namespace: SYSTEM, labelSelector: AGENTS });
    return items.map((pod) => textAt(pod, 'metadata', 'name'));
  }

  /** What an expression of JavaScript comes to in an agent's container, or its error. */
  async function inAgent(pod: string | undefined, expression: string): Promise<string> {
    const script = `try { console.log(String(${expression})) } catch (error) { console.log(String(error)) }`;
    const { stdout, stderr } = await cluster.exec(`${SYSTEM}/${pod}`, 'node', '-e', script);
    assert.equal(stderr, '');
    return stdout.trim();
  }

  async function versionOf(pod: string): Promise<string> {
    const { stdout } = await cluster.exec(`${SYSTEM}/${pod}`, 'romana', '--version');
    return stdout.trim();
  }

  /** Bytes of changes that the API server has sent to the agent of a node. */
  async function newsTo(name: string): Promise<number> {
    const minion = cluster.node(name);
    const [address = ''] = await nodeAddresses(name);
    const metrics = await minion.run('curl', '-s', `http://${address}:${AGENT_PORT}/metrics`);
    const changes = metrics.matchAll(/^romana_agent_watch_bytes_total\{.*type="(?:ADDED|MODIFIED|DELETED)"\} (\d+)$/gm);
    return Array.from(changes, ([, bytes]) => Number(bytes)).reduce((sum, bytes) => sum + bytes, 0);
  }

  async function imageOf(): Promise<string> {
    const json = await cluster.get('apps/v1', 'DaemonSet', 'romana-agent', SYSTEM);
    const [container] = objectsAt(json, 'spec', 'template', 'spec', 'containers');
    return String(container?.['image']);
  }

  async function nodeAddresses(name: string): Promise<readonly string[]> {
    const node = await cluster.client.get(NODES, name);
    return objectsAt(node, 'status', 'addresses').flatMap((each) =>
      each['type'] === 'InternalIP' ? [textAt(each, 'address')] : [],
    );
  }

  /** Since when each node is Ready or not. */
  async function readiness(): Promise<ReadonlyMap<string, unknown>> {
    const { items } = await cluster.client.list(NODES);
    return new Map(
      items.map((node) => {
        const ready = objectsAt(node, 'status', 'conditions').find(({ type }) => type === 'Ready');
        return [
          textAt(node, 'metadata', 'name'),
          `${textAt(ready, 'status')} since ${textAt(ready, 'lastTransitionTime')}`,
        ];
      }),
    );
  }

  function leasesOf(pod: string): readonly string[] {
    return cluster.layout.nodes.flatMap(({ name }) => {
      const directory = cluster.node(name).file('/run/romana/leases');
      return readdirSync(directory).filter((file) =>
        readFileSync(join(directory, file), 'utf8').includes(`"pod":"${pod}`),
      );
    });
  }
});

/** A pod that sleeps in namespace `up`, in a segment of its name, unless it is given another name. */
function podOf(segment: string, nodeName: string, name = segment) {
  const command = ['sleep', 'infinity'];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'up', labels: { segment } },
    spec: {
      nodeName,
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'main', image: 'tools', imagePullPolicy: 'IfNotPresent', command }],
    },
  };
}

/** What the manifest of the agent adds to no capability at all. */
function capabilitiesOf(file: string): readonly string[] {
  const [manifest] = parseAllDocuments(readFileSync(join(TOP, file), 'utf8')).map(
    (document) => document.toJS() as unknown,
  );
  const [container] = objectsAt(manifest, 'spec', 'template', 'spec', 'containers');
  assert.deepEqual(stringsAt(container, 'securityContext', 'capabilities', 'drop'), ['ALL']);
  assert.equal(at(container, 'securityContext', 'privileged'), undefined);
  return stringsAt(container, 'securityContext', 'capabilities', 'add') ?? [];
}
