import assert from 'node:assert/strict';
import { test } from 'node:test';
import { identityOf } from '../../kube/json.ts';
import { systemClock } from '../../lib/clock.ts';
import { DAEMON_SETS, NAMESPACES, NODES, PODS } from '../../objects/resources.ts';
import { type CheckOptions, runCheck } from './check.ts';
import { FakeCluster } from './fake-cluster.ts';
import type { CheckReport } from './report.ts';

function run(cluster: FakeCluster, more: Partial<CheckOptions> = {}): Promise<CheckReport> {
  return runCheck({
    client: cluster,
    clock: systemClock,
    exec: cluster.exec,
    word: 'abcde',
    image: undefined,
    otherwise: 'romana:1.0',
    maxNodes: 8,
    outside: undefined,
    patienceMs: 200,
    progress: () => undefined,
    signal: new AbortController().signal,
    ...more,
  });
}

interface MadePod {
  readonly spec: { readonly containers: { image: string }[]; readonly tolerations: unknown; readonly nodeName: string };
}

async function namespaces(cluster: FakeCluster): Promise<readonly string[]> {
  return (await cluster.list(NAMESPACES)).items.map((item) => identityOf(item).name);
}

function wrong({ rows }: CheckReport): readonly string[] {
  return rows.filter(({ verdict }) => verdict === 'NOT AS EXPECTED').map((r) => `${r.from} > ${r.to}: ${r.happened}`);
}

test('runCheck finds nothing wrong where nothing is, and removes what it made', async () => {
  const cluster = new FakeCluster(['a', 'b']);
  const report = await run(cluster);
  assert.deepEqual(wrong(report), []);
  assert.deepEqual([report.good, report.nodes], [true, { checked: ['a', 'b'], total: 2 }]);
  assert.deepEqual(report.hints, []);
  assert.deepEqual(await namespaces(cluster), []);
});

test('runCheck names the row that is otherwise, with what to look at', async () => {
  const cluster = new FakeCluster(['a', 'b'], {
    happens: (pod, order) => {
      if (order.kind === 'knock') return pod === 'client-1' ? 'answered' : undefined;
      return order.kind === 'talk' && order.name === 'peer-1' && pod === 'client-0' ? 'a time-out' : undefined;
    },
  });
  const report = await run(cluster);
  assert.equal(report.good, false);
  assert.deepEqual(wrong(report), [
    'pod on a > pod on b: a time-out',
    'pod on b > isolated pod on a: answered',
    'pod on b > isolated pod on b: answered',
  ]);
  assert.match(report.hints.join('\n'), /^Across nodes: .*\nA policy is not enforced: /);
});

test('runCheck goes on without a pod that does not run, and says why it does not', async () => {
  const cluster = new FakeCluster(['a', 'b'], { stuck: ['peer-1'] });
  const report = await run(cluster);
  assert.deepEqual(wrong(report), ['pod on b > -: it is Pending on b']);
  const left = report.rows.filter(({ verdict }) => verdict === 'not tried').map(({ happened }) => happened);
  assert.equal(left.filter((why) => why === 'pod on b does not run').length, 4);
  assert.ok(report.rows.some(({ verdict }) => verdict === 'ok'));
});

test('runCheck says what a pod that cannot be asked would have been asked', async () => {
  const cluster = new FakeCluster(['a'], {
    exec: (pod) => (pod === 'host-0' ? new Error('unable to upgrade connection') : undefined),
  });
  assert.deepEqual(wrong(await run(cluster)), [
    "node a > pod on a: the pod can't be asked: unable to upgrade connection",
    "node a > isolated pod on a: the pod can't be asked: unable to upgrade connection",
  ]);
});

test('runCheck names nodes on which no pod can be, and fails where there is no other', async () => {
  const cluster = new FakeCluster(['a', 'b']);
  await cluster.patch(NODES, 'b', { status: { conditions: [] } }, { subresource: 'status' });
  const report = await run(cluster);
  assert.deepEqual(wrong(report), ['node b > -: is not Ready: its kubelet has not said so yet']);
  assert.deepEqual(report.nodes, { checked: ['a'], total: 2 });
  assert.equal((await run(new FakeCluster([]))).good, false);
});

test('runCheck looks at no more nodes than it may', async () => {
  const report = await run(new FakeCluster(['a', 'b', 'c']), { maxNodes: 2 });
  assert.deepEqual([report.good, report.nodes], [true, { checked: ['a', 'b'], total: 3 }]);
});

test('runCheck has its pods run what the agents run, wherever they may be scheduled', async () => {
  const cluster = new FakeCluster(['a']);
  const made = (): { image: string; spec: MadePod['spec'] } => {
    const call = cluster.calls.findLast(({ verb, resource }) => verb === 'create' && resource === PODS);
    assert.ok(call !== undefined);
    const { spec } = call.body as MadePod;
    return { image: spec.containers[0]?.image ?? '', spec };
  };
  await run(cluster, { word: 'one' });
  assert.equal(made().image, 'romana:1.0');
  const labels = { 'app.kubernetes.io/name': 'romana', 'app.kubernetes.io/component': 'agent' };
  const containers = [{ name: 'agent', image: 'registry.example/romana:2' }];
  const spec = { template: { spec: { containers } } };
  await cluster.create(DAEMON_SETS, { metadata: { name: 'romana-agent', namespace: 'x', labels }, spec });
  await run(cluster, { word: 'two' });
  assert.equal(made().image, 'registry.example/romana:2');
  await run(cluster, { word: 'three', image: 'mine' });
  assert.equal(made().image, 'mine');
  assert.deepEqual([made().spec.nodeName, made().spec.tolerations], ['a', [{ operator: 'Exists' }]]);
});

test('runCheck ended early removes what it had made and rejects with the reason', async () => {
  const end = new AbortController();
  const cluster = new FakeCluster(['a'], {
    exec: () => {
      end.abort(new Error('Ctrl-C'));
      return new Error('cut');
    },
  });
  await assert.rejects(run(cluster, { signal: end.signal }), /^Error: Ctrl-C$/);
  assert.deepEqual(await namespaces(cluster), []);
});

test('runCheck removes what it had made when the cluster refuses the rest', async () => {
  const cluster = new FakeCluster(['a']);
  cluster.fail = ({ verb, resource }) =>
    verb === 'create' && resource === PODS ? new Error('pods are forbidden') : undefined;
  await assert.rejects(run(cluster), /pods are forbidden/);
  assert.deepEqual(await namespaces(cluster), []);
});

test('runCheck removes what a check left long ago, and only names what may be of one that runs', async () => {
  let now = 0;
  const cluster = new FakeCluster(['a'], {}, () => now);
  const labels = { 'romana.io/check': 'old' };
  await cluster.create(NAMESPACES, { metadata: { name: 'mine' } });
  await cluster.create(NAMESPACES, { metadata: { name: 'romana-check-old', labels } });
  now += 3_600_000;
  await cluster.create(NAMESPACES, { metadata: { name: 'romana-check-young', labels } });
  now += 60_000;
  const said: string[] = [];
  await run(cluster, { progress: (line) => void said.push(line) });
  assert.deepEqual(await namespaces(cluster), ['mine', 'romana-check-young']);
  assert.equal(said.filter((line) => line.startsWith('removed namespace romana-check-old, ')).length, 1);
  assert.equal(said.filter((line) => line.startsWith('namespace romana-check-young is of a check')).length, 1);
});
