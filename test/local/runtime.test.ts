import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync, rmSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { isNotFound } from '../../src/kube/client.ts';
import { execInPod } from '../../src/kube/exec.ts';
import type { HttpKubeClient } from '../../src/kube/http-client.ts';
import { podLogs } from '../../src/kube/logs.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { bringDown } from '../../src/local/bring-down.ts';
import { at, conditionOf, objectsAt, textAt } from '../../src/local/kube-json.ts';
import { nodeProcess } from '../../src/local/nodes.ts';
import { runCommand } from '../../src/local/run-command.ts';
import type { PodRecord } from '../../src/local/runtime/pod-record.ts';
import { clusterStatus } from '../../src/local/status.ts';
import { EVENTS, LEASES, NODES, PODS } from '../../src/objects/resources.ts';
import { CALLS } from './fake-cni.ts';
import { NGINX, peopleClient, testLayout, upWithoutAgents } from './test-cluster.ts';

const layout = testLayout('runtime', 1);
const skip = process.getuid?.() === 0 ? false : 'needs root';
let client: HttpKubeClient;

before(async () => {
  if (skip !== false) return;
  await upWithoutAgents(layout);
  client = peopleClient(layout);
});

after(async () => {
  if (skip !== false) return;
  await client?.close();
  await bringDown(layout);
});

/** A path inside the minion, seen from the machine. */
function inMinion(path: string): string {
  const minion = layout.nodes[1];
  return `/proc/${minion === undefined ? 0 : nodeProcess(minion)?.pid}/root${path}`;
}

async function createPod(name: string, script: string, more: object = {}): Promise<void> {
  const containers = [{ name: 'main', image: 'any', command: ['sh', '-c', script] }];
  const spec = { terminationGracePeriodSeconds: 1, containers, ...more };
  await client.create(PODS, { metadata: { name, namespace: 'default' }, spec });
}

const podIs = (name: string, what: string, condition: (pod: unknown) => boolean): Promise<unknown> =>
  waitFor(`pod ${name} to be ${what}`, async () => {
    const pod = await client.get(PODS, name, 'default');
    return condition(pod) ? pod : undefined;
  });

const phaseIs = (name: string, phase: string): Promise<unknown> =>
  podIs(name, phase, (pod) => textAt(pod, 'status', 'phase') === phase);

const goneIs = (name: string): Promise<unknown> =>
  waitFor(`pod ${name} to be gone`, async () => {
    try {
      await client.get(PODS, name, 'default');
      return false;
    } catch (error) {
      return isNotFound(error);
    }
  });

/** Why the first container does not run. */
function waitingFor(pod: unknown): string {
  return textAt(objectsAt(pod, 'status', 'containerStatuses')[0], 'state', 'waiting', 'reason');
}

const run = (pod: string, ...command: readonly string[]): ReturnType<typeof execInPod> =>
  execInPod(client.connection, { namespace: 'default', pod, command });

async function logOf(pod: string, more: object = {}): Promise<string> {
  let text = '';
  for await (const chunk of podLogs(client, { namespace: 'default', pod, ...more }))
    text += Buffer.from(chunk).toString();
  return text;
}

function record(name: string): PodRecord {
  const directory = inMinion('/run/romana-runtime/pods');
  const all = readdirSync(directory).map(
    (file) => JSON.parse(readFileSync(`${directory}/${file}`, 'utf8')) as PodRecord,
  );
  const found = all.find((candidate) => candidate.name === name);
  assert.ok(found, `a record of pod ${name}`);
  return found;
}

const calls = (containerId: string): string[] =>
  readFileSync(inMinion(CALLS), 'utf8')
    .split('\n')
    .filter((line) => line.split(' ')[1] === containerId);

test('up registers nodes that are Ready, with addresses, a taint on the master and Leases', { skip }, async () => {
  const master = await client.get(NODES, 'master');
  assert.equal(conditionOf(master, 'Ready')?.status, 'True');
  assert.deepEqual(
    objectsAt(master, 'spec', 'taints').map(({ key }) => key),
    ['node-role.kubernetes.io/control-plane'],
  );
  const addresses = objectsAt(await client.get(NODES, 'minion1'), 'status', 'addresses');
  assert.deepEqual(
    addresses.map(({ address }) => address),
    ['192.168.99.11', 'fd00:99::11', 'minion1'],
  );
  await waitFor('the lease', () => client.get(LEASES, 'minion1', 'kube-node-lease').catch(() => undefined));
});

test('a pod runs with what CNI gave it, on a read-only root with its own /tmp, /run and /var', { skip }, async () => {
  await createPod('runs', 'echo out; echo err >&2; exec sleep 1000');
  const pod = await phaseIs('runs', 'Running');
  const { sandbox } = record('runs');
  assert.equal(textAt(pod, 'status', 'podIP'), sandbox?.addresses[0]);
  assert.equal(conditionOf(pod, 'PodScheduled')?.status, 'True');
  assert.equal(conditionOf(pod, 'Ready')?.status, 'True');
  assert.equal(textAt(pod, 'status', 'hostIP'), '192.168.99.11');

  const uid = textAt(pod, 'metadata', 'uid');
  const id = sandbox?.id ?? '';
  const [add = ''] = calls(id);
  assert.equal(
    add,
    `ADD ${id} ${sandbox?.netns} eth0 IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=runs;` +
      `K8S_POD_INFRA_CONTAINER_ID=${id};K8S_POD_UID=${uid} {"type":"fake","name":"fake","cniVersion":"1.1.0"}`,
  );
  assert.match(sandbox?.netns ?? '', /^\/var\/run\/netns\/cni-[0-9a-f-]{36}$/);

  const script =
    'touch /tmp/x /run/x /var/x && ! touch /usr/x 2>/dev/null && ! touch /etc/x 2>/dev/null && hostname && cat /proc/1/comm';
  const result = await run('runs', 'sh', '-c', script);
  assert.deepEqual(result, { exitCode: 0, stdout: 'runs\nsleep\n', stderr: '' });
  assert.equal(existsSync('/tmp/x') && existsSync('/run/x'), false);
  assert.equal((await run('runs', 'sh', '-c', 'exit 7')).exitCode, 7);
  await waitFor('the log', async () => (await logOf('runs')) === 'out\nerr\n');
  assert.equal(await logOf('runs', { tailLines: 1 }), 'err\n');
});

test('a terminal of exec is a terminal of the size asked for', { skip }, async () => {
  await createPod('tty', 'exec sleep 1000');
  await phaseIs('tty', 'Running');
  const tty = { size: { width: 91, height: 33 } };
  const seen = await waitFor('the size', async () => {
    const script = 'sleep 0.2; test -t 0 && stty size; exit 3';
    const result = await execInPod(client.connection, {
      namespace: 'default',
      pod: 'tty',
      command: ['sh', '-c', script],
      tty,
    });
    return result.stdout.includes('33 91') ? result : undefined;
  });
  assert.equal(seen.exitCode, 3);
});

test('standard input of exec reaches the command, and its end too', { skip }, async () => {
  await createPod('stdin', 'exec sleep 1000');
  await phaseIs('stdin', 'Running');
  // oxlint-disable-next-line unicorn/consistent-function-scoping
  async function* input(): AsyncGenerator<string> {
    yield 'one\n';
    yield 'two\n';
  }
  const command = ['sh', '-c', 'cat; echo done'];
  const result = await execInPod(client.connection, { namespace: 'default', pod: 'stdin', command, stdin: input() });
  assert.equal(result.stdout, 'one\ntwo\ndone\n');
});

test('a hostNetwork pod has the addresses and the network of its node, and CNI is not asked', { skip }, async () => {
  await createPod('host', 'exec sleep 1000', { hostNetwork: true });
  const pod = await phaseIs('host', 'Running');
  assert.deepEqual(at(pod, 'status', 'podIPs'), [{ ip: '192.168.99.11' }, { ip: 'fd00:99::11' }]);
  assert.match((await run('host', 'ip', '-o', 'address', 'show', 'eth0')).stdout, / 192\.168\.99\.11\/24 /);
  assert.deepEqual(calls(record('host').sandbox?.id ?? ''), []);
  await client.delete(PODS, 'host', { namespace: 'default' });
  await goneIs('host');
});

test('a finished pod is Succeeded or Failed, and its sandbox is given back', { skip }, async () => {
  await createPod('succeeds', 'exit 0', { restartPolicy: 'Never' });
  await createPod('fails', 'exit 4', { restartPolicy: 'Never' });
  await phaseIs('succeeds', 'Succeeded');
  const failed = await phaseIs('fails', 'Failed');
  const [status] = objectsAt(failed, 'status', 'containerStatuses');
  assert.equal(at(status, 'state', 'terminated', 'exitCode'), 4);
  await waitFor('the sandbox to be gone', () => record('fails').sandbox === undefined);
  await client.delete(PODS, 'fails', { namespace: 'default' });
  await goneIs('fails');
});

test('init containers run one after the other before the others', { skip }, async () => {
  const initContainers = ['one', 'two'].map((name) => ({
    name,
    image: 'any',
    command: ['sh', '-c', `echo ${name} >> /run/order`],
  }));
  await createPod('inits', 'cat /run/order; exec sleep 1000', { initContainers });
  await phaseIs('inits', 'Running');
  await waitFor('the log', async () => (await logOf('inits', { container: 'main' })) === 'one\ntwo\n');
});

test('a container that ends is started again, then CrashLoopBackOff', { skip }, async () => {
  await createPod('crashes', 'exit 1');
  const pod = await podIs('crashes', 'in CrashLoopBackOff', (json) => waitingFor(json) === 'CrashLoopBackOff');
  assert.equal(at(objectsAt(pod, 'status', 'containerStatuses')[0], 'restartCount'), 1);
});

test('an image without recipe is ErrImagePull, with an event', { skip }, async () => {
  await client.create(PODS, {
    metadata: { name: 'unknown', namespace: 'default' },
    spec: { containers: [{ name: 'main', image: 'no/such:1' }] },
  });
  await podIs('unknown', 'in ErrImagePull', (pod) => waitingFor(pod) === 'ErrImagePull');
  await waitFor('the event', async () => {
    const { items } = await client.list(EVENTS, { namespace: 'default' });
    return items.some(
      (event) => textAt(event, 'reason') === 'Failed' && textAt(event, 'involvedObject', 'name') === 'unknown',
    );
  });
});

test(
  "image nginx serves Debian's page in both families, and goes when asked to",
  { skip: skip !== false ? skip : NGINX === undefined ? "Debian's nginx is not unpacked" : false },
  async () => {
    const containers = [{ name: 'main', image: 'nginx' }];
    await client.create(PODS, { metadata: { name: 'web', namespace: 'default' }, spec: { containers } });
    await phaseIs('web', 'Running');
    for (const url of ['http://127.0.0.1/', 'http://[::1]/']) {
      await waitFor(`the page at ${url}`, async () =>
        (await run('web', 'curl', '-s', url)).stdout.includes('Welcome to nginx!'),
      );
    }
    await waitFor('the access log', async () => (await logOf('web')).includes('GET / HTTP/1.1'));
    await client.delete(PODS, 'web', { namespace: 'default' });
    await goneIs('web');
  },
);

test('a deleted pod goes after its grace, when DEL succeeded', { skip }, async () => {
  await createPod('deleted', 'trap "" TERM; while :; do sleep 1; done');
  await phaseIs('deleted', 'Running');
  const { sandbox } = record('deleted');
  const refuse = inMinion('/run/fake-cni/refuse');
  writeFileSync(refuse, '');
  try {
    await client.delete(PODS, 'deleted', { namespace: 'default' });
    await waitFor('a second DEL', () => calls(sandbox?.id ?? '').filter((line) => line.startsWith('DEL')).length > 1);
    assert.ok(await client.get(PODS, 'deleted', 'default'), 'the pod is there while DEL fails');
  } finally {
    rmSync(refuse);
  }
  await goneIs('deleted');
  const del = calls(sandbox?.id ?? '').findLast((line) => line.startsWith('DEL')) ?? '';
  assert.match(del, /"prevResult":\{/);
  assert.equal(existsSync(inMinion(sandbox?.netns ?? '')), false);
});

test('a runtime that is killed finds its pods again and restarts none', { skip }, async () => {
  await createPod('survives', 'exec sleep 1000');
  await createPod('ends', 'while [ ! -e /run/end ]; do sleep 0.1; done; exit 5', { restartPolicy: 'Never' });
  await Promise.all([phaseIs('survives', 'Running'), phaseIs('ends', 'Running')]);
  const before = record('survives');
  const log = inMinion('/var/log/romana/runtime.log');
  const starts = (): number => readFileSync(log, 'utf8').split('node runtime started').length;
  const started = starts();
  const kill = 'kill -9 $(cat /run/romana-node/runtime.pid)';
  const minion = layout.nodes[1];
  const pid = String(minion === undefined ? 0 : nodeProcess(minion)?.pid);
  await runCommand('nsenter', ['--target', pid, '--mount', '--pid', '--', 'sh', '-c', kill]);
  await waitFor('another runtime', () => starts() > started);
  await waitFor('exec through it', () =>
    run('survives', 'true').then(
      ({ exitCode }) => exitCode === 0,
      () => false,
    ),
  );
  assert.deepEqual(record('survives'), before);
  await run('ends', 'touch', '/run/end');
  const ended = await phaseIs('ends', 'Failed');
  assert.equal(at(objectsAt(ended, 'status', 'containerStatuses')[0], 'state', 'terminated', 'exitCode'), 5);
  const { problems } = await clusterStatus(layout, client);
  // Two pods of the tests before are broken on purpose.
  assert.deepEqual(
    problems.filter((problem) => !/^pod default\/(?:crashes|unknown): /.test(problem)),
    [],
  );
});
