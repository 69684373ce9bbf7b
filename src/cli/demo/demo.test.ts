import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeKubeClient } from '../../kube/fake-client.ts';
import { identityOf } from '../../kube/json.ts';
import { systemClock } from '../../lib/clock.ts';
import { HOSTS, NAMESPACES, NETWORKS, NODES, PODS, type Resource } from '../../objects/resources.ts';
import { type DemoOptions, runDemo } from './demo.ts';

const PLAN = { hostBits: 16, tenantBits: 16, segmentBits: 16, endpointBits: 16 };
const POLICY = JSON.stringify({
  apiVersion: 'romana.io/demo/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'pol1' },
  spec: { podSelector: { segment: 'backend' }, allowIncoming: { toPorts: [{ port: 80 }] } },
});

/** A cluster with IPv6 alone whose pods run as soon as they are made. */
class Ipv6Cluster extends FakeKubeClient {
  readonly placed: string[] = [];

  constructor(nodes: Readonly<Record<string, { readonly taint?: string; readonly ready?: boolean }>>) {
    super();
    this.#put(NETWORKS, 'default', {
      apiVersion: 'romana.io/v1',
      spec: { plans: [{ cidr: 'fd00:10::/64', ...PLAN }] },
    });
    for (const [id, [name, { taint, ready = true }]] of Object.entries(nodes).entries()) {
      this.#put(HOSTS, name, { apiVersion: 'romana.io/v1', spec: { id, ranges: [], addresses: [] } });
      const conditions = [{ type: 'Ready', status: ready ? 'True' : 'False' }];
      const taints = taint === undefined ? [] : [{ key: 'k', effect: taint }];
      this.#put(NODES, name, { apiVersion: 'v1', spec: { taints }, status: { conditions } });
    }
    for (const name of ['tenant-a', 'tenant-b']) {
      const annotations = { 'net.alpha.kubernetes.io/network-isolation': 'on' };
      this.store.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name, annotations } }, '');
    }
  }

  #put(resource: Resource, name: string, rest: object): void {
    this.store.create(resource, { kind: resource.kind, metadata: { name }, ...rest }, '');
  }

  override async create(resource: Resource, object: object, namespace?: string): Promise<unknown> {
    if (resource !== PODS) return await super.create(resource, object, namespace);
    this.placed.push(`${identityOf(object).name}@${(object as { spec: { nodeName: string } }).spec.nodeName}`);
    const conditions = [{ type: 'Ready', status: 'True' }];
    const podIPs = [{ ip: `fd00:10::1:1:1:${this.placed.length + 2}` }];
    return await super.create(resource, { ...object, status: { phase: 'Running', conditions, podIPs } }, namespace);
  }
}

function options(client: FakeKubeClient, more: Partial<DemoOptions> = {}): DemoOptions {
  return {
    client,
    clock: systemClock,
    paper: { write: () => undefined },
    exec: () => Promise.resolve({ exitCode: 28, stdout: '', stderr: '' }),
    execWords: () => 'exec',
    romana: (subcommand) => `romana ${subcommand}`,
    policy: { path: 'pol1.json', text: POLICY },
    image: 'nginx',
    cluster: 'a fake',
    pause: () => Promise.resolve(),
    signal: new AbortController().signal,
    ...more,
  };
}

/** The demo in a cluster where everything answers, and what was asked for. */
async function play(client: FakeKubeClient): Promise<{ good: boolean; asked: readonly string[]; told: string }> {
  const asked: string[] = [];
  let told = '';
  // A clock that leaps lets no probe wait for a change to take effect.
  let now = 0;
  const clock = { ...systemClock, now: () => (now += 10_000) };
  const exec: DemoOptions['exec'] = (_, __, command) => {
    asked.push(command.at(-1) ?? '');
    return Promise.resolve({ exitCode: 0, stdout: '<title>Welcome to nginx!</title>', stderr: '' });
  };
  const good = await runDemo(options(client, { exec, clock, paper: { write: (text) => (told += text) } }));
  return { good, asked, told };
}

test('runDemo asks by IPv6 in a cluster that has nothing else', async () => {
  const client = new Ipv6Cluster({ a: {}, b: {} });
  const { asked, good, told } = await play(client);
  assert.ok(asked.length > 15);
  assert.deepEqual(
    asked.filter((url) => !/^http:\/\/\[fd00:10::1:1:1:\w+\](?::81)?\/$/.test(url)),
    [],
  );
  // Everything answers here, so what should not did.
  assert.equal(good, false);
  assert.match(told, /NOT AS EXPECTED/);
  assert.deepEqual((await client.list(PODS)).items, []);
});

for (const [what, nodes, near, far] of [
  ['two nodes that take any pod', { a: { taint: 'NoSchedule' }, b: {}, c: {} }, 'b', 'c'],
  ['a control plane beside one other node', { a: { taint: 'NoSchedule' }, b: {} }, 'b', 'a'],
  ['a control plane alone', { a: { taint: 'NoSchedule' } }, 'a', 'a'],
  ['one that is not ready and one that evicts', { a: { ready: false }, b: { taint: 'NoExecute' }, c: {} }, 'c', 'c'],
] as const) {
  test(`runDemo places its pods on ${what}`, async () => {
    const client = new Ipv6Cluster(nodes);
    await play(client);
    assert.deepEqual(client.placed.slice(0, 3), [`first@${near}`, `second@${near}`, `third@${far}`]);
  });
}

test('runDemo says what it waits for in vain', async () => {
  const client = new Ipv6Cluster({ a: {} });
  const create = client.create.bind(client);
  client.create = async (resource, object, namespace) => {
    if (resource !== PODS) return await create(resource, object, namespace);
    const waiting = { reason: 'ErrImagePull', message: 'no such image' };
    const status = { phase: 'Pending', containerStatuses: [{ state: { waiting } }] };
    client.store.create(PODS, { ...object, status }, namespace ?? '');
    return await client.get(PODS, identityOf(object).name, namespace);
  };
  let told = '';
  let now = 0;
  const clock = { ...systemClock, now: () => (now += 2_000), sleep: () => Promise.resolve() };
  await assert.rejects(
    runDemo(options(client, { clock, paper: { write: (text) => (told += text) } })),
    /waited 180 s in vain for pod default\/first to run: it is Pending on a, no such image$/,
  );
  assert.match(told, /Waiting for pod default\/first: it is Pending on a, no such image\n/);
  assert.deepEqual((await client.list(PODS)).items, []);
});
