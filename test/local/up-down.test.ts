import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import { waitFor } from '../../src/lib/wait-for.ts';
import type { ClusterLayout } from '../../src/local/cluster-layout.ts';
import { down } from '../../src/local/down.ts';
import { nodeProcess } from '../../src/local/nodes.ts';
import { runCommand } from '../../src/local/run-command.ts';
import { apiServerService } from '../../src/local/services.ts';
import { clusterStatus, formatStatus } from '../../src/local/status.ts';
import { up } from '../../src/local/up.ts';
import { NAMESPACES, NETWORKS, PODS } from '../../src/objects/resources.ts';
import { machineState } from './machine-state.ts';
import {
  CHECKOUT,
  peopleClient,
  servicesWithoutAgent,
  TEST_BASE,
  testLayout,
  upOptions,
  upWithoutAgents,
} from './test-cluster.ts';

const skip = process.getuid?.() === 0 ? false : 'needs root';
const MARK = `rt-${process.pid}-`;

/** A layout whose cluster is taken down when the test ends. */
function cluster(t: TestContext, name: string, minions: number): ClusterLayout {
  const layout = testLayout(name, minions);
  t.after(() => down(layout.name, TEST_BASE));
  return layout;
}

async function nodes(layout: ClusterLayout): Promise<readonly (readonly [string, boolean])[]> {
  const client = peopleClient(layout);
  try {
    return (await clusterStatus(layout, client)).nodes.map(({ name, ready }) => [name, ready]);
  } finally {
    await client.close();
  }
}

async function state(): Promise<string> {
  return machineState(MARK);
}

test('up and down leave the machine as it was, and can be repeated', { skip }, async (t) => {
  const before = await state();
  const layout = cluster(t, 'once', 1);
  await upWithoutAgents(layout);
  assert.equal(await up(upOptions(layout, servicesWithoutAgent)), 'already');
  assert.equal(statSync(layout.kubeconfig).mode & 0o777, 0o600);
  const client = peopleClient(layout);
  const status = await clusterStatus(layout, client);
  assert.deepEqual(status.problems, []);
  assert.match(formatStatus('once', status), /minion1 +Ready +192\.168\.99\.11 fd00:99::11/);
  assert.ok(await client.get(NETWORKS, 'default'));
  assert.ok(await client.get(NAMESPACES, 'tenant-a'));
  await client.create(PODS, {
    metadata: { name: 'left', namespace: 'default' },
    spec: { containers: [{ name: 'main', image: 'any', command: ['sleep', '1000'] }] },
  });
  await waitFor('the pod to run', async () =>
    (await clusterStatus(layout, client)).pods.some(({ phase }) => phase === 'Running'),
  );
  await client.close();

  assert.equal(await down(layout.name, TEST_BASE), true);
  assert.equal(await down(layout.name, TEST_BASE), false);
  await upWithoutAgents(layout);
  await down(layout.name, TEST_BASE);
  assert.equal(await state(), before);
});

test('two clusters live side by side, on the same addresses', { skip }, async (t) => {
  const before = await state();
  const [left, right] = [cluster(t, 'left', 1), cluster(t, 'right', 2)];
  await Promise.all([upWithoutAgents(left), upWithoutAgents(right)]);
  assert.deepEqual(await nodes(left), [
    ['master', true],
    ['minion1', true],
  ]);
  assert.deepEqual(await nodes(right), [
    ['master', true],
    ['minion1', true],
    ['minion2', true],
  ]);
  await runCommand('ip', ['netns', 'exec', `${right.name}-minion2`, 'ping', '-c1', '-W2', 'fd00:99::10']);
  await down(left.name, TEST_BASE);
  assert.deepEqual((await nodes(right)).length, 3);
  await down(right.name, TEST_BASE);
  assert.equal(await state(), before);
});

test('a failed up says why and leaves nothing', { skip }, async (t) => {
  const before = await state();
  const layout = cluster(t, 'fails', 1);
  const broken = { name: 'agent', words: ['/bin/sh', '-c', 'echo no such luck >&2; exit 3'] };
  const services = upOptions(layout, (node) => (node.master ? [apiServerService(CHECKOUT), broken] : [broken]));
  await assert.rejects(up(services), (error: Error) => {
    assert.match(error.message, /agent on \w+ ended \d+ times/);
    assert.match(error.message, /no such luck/);
    return true;
  });
  assert.equal(await state(), before);
});

test('an interrupted up leaves nothing', { skip }, async (t) => {
  const before = await state();
  const layout = cluster(t, 'interrupted', 1);
  const abort = new AbortController();
  const options = {
    ...upOptions(layout, servicesWithoutAgent),
    signal: abort.signal,
    progress: (step: string): void => {
      if (step.startsWith('waiting')) abort.abort(new Error('interrupted'));
    },
  };
  await assert.rejects(up(options), /did not come up: interrupted/);
  assert.equal(await state(), before);
});

test('up refuses network namespaces of others, and leaves them', { skip }, async (t) => {
  const layout = cluster(t, 'foreign', 1);
  const foreign = `${layout.netnsDirectory}/${layout.nodes[1]?.netns}`;
  await runCommand('sh', ['-c', 'mkdir -p "${0%/*}"; touch "$0"; unshare --net="$0" true', foreign]);
  t.after(() => runCommand('sh', ['-c', 'umount "$0"; rm "$0"', foreign]));
  await assert.rejects(upWithoutAgents(layout), /there is a network namespace rt-\d+-foreign-minion1 already/);
  assert.ok(existsSync(foreign));
});

test('a service that is killed comes back, the API server on its port too', { skip }, async (t) => {
  const layout = cluster(t, 'service', 1);
  await upWithoutAgents(layout);
  const client = peopleClient(layout);
  const master = layout.nodes[0];
  assert.ok(master);
  const kill = 'kill -9 $(cat /run/romana-node/apiserver.pid)';
  const pid = String(nodeProcess(master)?.pid);
  await runCommand('nsenter', ['--target', pid, '--mount', '--pid', '--', 'sh', '-c', kill]);
  await waitFor(
    'the API server to be back with what it knew',
    async () => (await client.get(NAMESPACES, 'tenant-a').catch(() => undefined)) !== undefined,
  );
  await waitFor('all to be well', async () => (await clusterStatus(layout, client)).problems.length === 0);
  await client.close();
});
