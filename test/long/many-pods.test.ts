import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { processorSeconds, residentBytes } from '../../bench/process-use.ts';
import { DEFAULT_PLANS, encode, hostRange } from '../../src/addr/plan.ts';
import type { FakeKubeClient } from '../../src/kube/fake-client.ts';
import { unwrap } from '../../src/lib/result.ts';
import { kubeconfigText } from '../../src/local/pki.ts';
import { ID_CLAIMS, idClaimToJson } from '../../src/objects/id-claim.ts';
import { ALPHA_ISOLATION } from '../../src/objects/namespace.ts';
import { DEMO_POLICIES, HOSTS, NAMESPACES, NETWORKS, PODS, TENANTS } from '../../src/objects/resources.ts';
import { FakeApiServer } from '../support/fake-api-server.ts';
import { TestNetns } from '../support/netns.ts';
import { RigHost } from '../support/rig-host.ts';

const NODE = 'node1';
const ELSEWHERE = 200;
const PODS_EACH = 500;
const TENANT_NAMES = ['t1', 't2', 't3', 't4', 't5'] as const;
const SEGMENTS = ['s1', 's2', 's3', 's4', 's5'] as const;
/** Reports of use are written 2 s after the last change; then nothing is due. */
const CALM_MS = 4_000;
/** Whatever an agent does from time to time, it does once a minute or more often. */
const IDLE_MS = 60_000;
/** By which memory may differ: V8 lets its heap shrink and grow by itself, without anything new to hold. */
const MEMORY_FACTOR = 1.1;

void test('100,000 pods elsewhere cost an agent no bytes, no processor time and no memory', async (t) => {
  const { api, host, startAgent, ns } = await makeNode(t);
  await startAgent();
  await addPod(api.client, host, ns);
  const alone = await idleUse(host, api);
  assert.equal(alone.bytes, 0);
  const before = api.sent;
  await addPodsElsewhere(api.client);
  assert.equal((await api.client.list(PODS)).items.length, ELSEWHERE * PODS_EACH + 1);
  const crowded = await idleUse(host, api);
  t.diagnostic(JSON.stringify({ alone, crowded }));
  assert.equal(api.sent - before, 0, 'the agent heard of pods that are no concern of its');
  // Once a minute an agent looks at the kernel's network, whatever is told of it.
  assert.ok(alone.plans <= 2 && crowded.plans <= 2, `it planned ${alone.plans} and ${crowded.plans} times`);
  assert.ok(crowded.cores <= atMost(alone.cores), `idle, the agent takes ${crowded.cores} of a core`);
  assert.ok(crowded.memory <= alone.memory * MEMORY_FACTOR, `memory grew from ${alone.memory} to ${crowded.memory}`);
  // The same for one that starts among them.
  await host.stopAgent();
  const atStart = api.sent;
  await startAgent();
  const restarted = await idleUse(host, api);
  t.diagnostic(JSON.stringify({ restarted, listed: api.sent - atStart }));
  assert.ok(api.sent - atStart < before * MEMORY_FACTOR, `its lists took ${api.sent - atStart} bytes, not ${before}`);
  assert.ok(restarted.cores <= atMost(alone.cores), `idle, the agent takes ${restarted.cores} of a core`);
  assert.ok(restarted.memory <= alone.memory * MEMORY_FACTOR, `it has ${restarted.memory}, not ${alone.memory} bytes`);
});

/** What is as good as `cores`: a machine that others keep busy makes the same work dearer. */
function atMost(cores: number): number {
  return cores * 2 + 0.001;
}

interface Node {
  readonly api: FakeApiServer;
  readonly host: RigHost;
  readonly ns: TestNetns;
  readonly startAgent: () => Promise<void>;
}

/** A host of a cluster of many, without pods, and what its agent needs of the API. */
async function makeNode(t: TestContext): Promise<Node> {
  const stack = new AsyncDisposableStack();
  t.after(() => stack.disposeAsync());
  const directory = mkdtempSync(join(tmpdir(), 'romana-many-'));
  stack.defer(() => rmSync(directory, { recursive: true }));
  const ns = stack.use(TestNetns.create('node'));
  await ns.run(['ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'fabric']);
  for (const name of ['eth0', 'fabric']) await ns.run(['ip', 'link', 'set', name, 'up']);
  await ns.run(['ip', 'address', 'add', '192.168.99.11/24', 'dev', 'eth0']);
  const host = stack.use(await RigHost.start(NODE, ns, ['192.168.99.11', ''], join(directory, NODE)));
  const api = stack.use(new FakeApiServer());
  await makeObjects(api.client);
  const kubeconfig = join(directory, 'kubeconfig');
  const server = await api.listen(ns);
  writeFileSync(kubeconfig, kubeconfigText({ name: 'many', server, ca: '', token: 'none' }));
  const sandbox = stack.use(TestNetns.create('pod'));
  return { api, host, ns: sandbox, startAgent: () => host.startAgent(kubeconfig) };
}

async function makeObjects(client: FakeKubeClient): Promise<void> {
  await client.create(NETWORKS, { metadata: { name: 'default' }, spec: { plans: DEFAULT_PLANS } });
  for (let id = 0; id <= ELSEWHERE; id++) {
    const ranges = DEFAULT_PLANS.map((plan) => hostRange(plan, id));
    const spec = { id, ranges, addresses: [`192.168.99.${id + 11}`] };
    await client.create(HOSTS, { metadata: { name: nodeName(id) }, spec });
    await client.create(ID_CLAIMS, idClaimToJson({ kind: 'Host', id, holder: { name: nodeName(id), uid: '' } }));
  }
  for (const [n, name] of TENANT_NAMES.entries()) {
    await client.create(NAMESPACES, { metadata: { name, annotations: { [ALPHA_ISOLATION]: 'on' } } });
    const segments = SEGMENTS.map((segment, i) => ({ name: segment, id: i + 1 }));
    await client.create(TENANTS, { metadata: { name }, status: { id: n + 1, pooled: false, segments } });
    for (const segment of SEGMENTS) {
      const allowIncoming = { toPorts: [{ port: 80, protocol: 'TCP' }], from: [{ pods: { segment } }] };
      const spec = { podSelector: { segment: 's1' }, allowIncoming };
      await client.create(DEMO_POLICIES, { metadata: { name: `from-${segment}` }, spec }, name);
    }
  }
}

function nodeName(id: number): string {
  return id === 0 ? NODE : `elsewhere-${id}`;
}

/** A pod of this node, so that policy is in force here. */
async function addPod(client: FakeKubeClient, host: RigHost, sandbox: TestNetns): Promise<void> {
  const object = podObject(0, 0, []);
  const { metadata } = (await client.create(PODS, object, TENANT_NAMES[0])) as { metadata: { uid: string } };
  const args = `K8S_POD_NAMESPACE=${TENANT_NAMES[0]};K8S_POD_NAME=pod-0-0;K8S_POD_UID=${metadata.uid}`;
  const { status, json } = await host.cni({ command: 'ADD', containerId: 'many', netns: sandbox.path, args });
  assert.equal(status, 0, JSON.stringify(json));
}

/** In their order, as their hosts would get them: tenants and segments take turns. */
async function addPodsElsewhere(client: FakeKubeClient): Promise<void> {
  for (let host = 1; host <= ELSEWHERE; host++) {
    for (let n = 0; n < PODS_EACH; n++) {
      const [tenant, segment] = [n % TENANT_NAMES.length, Math.floor(n / TENANT_NAMES.length) % SEGMENTS.length];
      const endpoint = 3 + Math.floor(n / (TENANT_NAMES.length * SEGMENTS.length));
      const ids = { host, tenant: tenant + 1, segment: segment + 1, endpoint };
      const ips = DEFAULT_PLANS.map((plan) => unwrap(encode(plan, ids)));
      client.store.create(PODS, podObject(host, n, ips), TENANT_NAMES[tenant] ?? '');
    }
    // The agent's watches look at what has come, all at once: each look goes through all that ever was.
    await setTimeout(0);
  }
}

function podObject(host: number, n: number, ips: readonly string[]): object {
  const segment = SEGMENTS[Math.floor(n / TENANT_NAMES.length) % SEGMENTS.length];
  return {
    metadata: { name: `pod-${host}-${n}`, labels: { segment } },
    spec: { nodeName: nodeName(host), containers: [{ name: 'main', image: 'nginx' }] },
    status: { phase: 'Running', podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) },
  };
}

/** What the agent uses when nothing happens on its node. */
interface IdleUse {
  readonly cores: number;
  /** In bytes. */
  readonly memory: number;
  /** Bytes from the API server. */
  readonly bytes: number;
  /** How often it planned. */
  readonly plans: number;
}

async function idleUse(host: RigHost, api: FakeApiServer): Promise<IdleUse> {
  await setTimeout(CALM_MS);
  const pid = host.agentPid;
  const planned = async (): Promise<number> => (await host.metrics()).get('romana_agent_plan_seconds_count') ?? 0;
  const [seconds, sent, plans] = [processorSeconds(pid), api.sent, await planned()];
  await setTimeout(IDLE_MS);
  const cores = ((processorSeconds(pid) - seconds) * 1000) / IDLE_MS;
  return { cores, memory: residentBytes(pid), bytes: api.sent - sent, plans: (await planned()) - plans };
}
