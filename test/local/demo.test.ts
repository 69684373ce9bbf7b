import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { after, before, suite, test } from 'node:test';
import { parse } from 'yaml';

import type { CheckReport } from '../../src/cli/check/report.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { machineState } from './machine-state.ts';
import { CHECKOUT } from './test-cluster.ts';

const NAME = `rt-${process.pid}-demo`;

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Calls the program as a person does, from the checkout. */
function romana(words: readonly string[], input = ''): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(`${CHECKOUT}/bin/romana`, words, {
      cwd: CHECKOUT,
      env: { PATH: process.env['PATH'], HOME: '/root' },
    });
    const said = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => (said[name] += text));
    }
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, ...said }));
    child.stdin.end(input);
  });
}

async function good(words: readonly string[], input = ''): Promise<string> {
  const { status, stdout, stderr } = await romana(words, input);
  assert.equal(status, 0, `romana ${words.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

/** A manifest for `romana apply -f -`. */
function pod(name: string): string {
  const containers = [{ name: 'main', image: 'any', command: ['sleep', '1000'] }];
  const metadata = { name, labels: { segment: 'x' } };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata,
    spec: { terminationGracePeriodSeconds: 1, containers },
  });
}

suite('a local cluster by the program', () => {
  let machine = '';
  before(async () => {
    machine = await machineState(NAME);
    await good(['local', 'up', '--name', NAME]);
  });
  after(async () => {
    await good(['local', 'down', '--name', NAME]);
    assert.equal(await machineState(NAME), machine, 'down leaves nothing');
    assert.ok(!existsSync(`/run/romana-local/${NAME}`));
  });

  test("the founding page's demo is as expected, and removes what it made", async () => {
    const told = await good(['demo', '--name', NAME]);
    assert.match(told, /All \d+ were as expected\.\n$/);
    assert.match(
      told,
      /to +10\.\d+\.\d+\.3: host 2 \(minion2\), tenant \d+ \(tenant-a\), segment \d+ \(backend\), endpoint 3/,
    );
    assert.match(told, /\$ bin\/romana local exec --name \S+ tenant-a\/nginx-frontend -- curl -sS -m 1 http:/);
    const status = await good(['local', 'status', '--name', NAME]);
    assert.match(status, /no pods/);
  });

  test('the demo is there on a node, and its commands can be pasted there', async () => {
    const told = await good(['local', 'shell', '--name', NAME, 'minion1', '--', 'romana', 'demo']);
    assert.match(told, /All \d+ were as expected\.\n$/);
    assert.match(told, /romana exec tenant-a\/nginx-frontend -- curl/);
  });

  test('a check of the network is as expected, and leaves nothing', async () => {
    const { status, stdout, stderr } = await romana(['check', '--name', NAME, '--nodes', '2', '-o', 'json']);
    assert.equal(status, 0, stdout + stderr);
    const { rows, nodes, good: well } = JSON.parse(stdout) as CheckReport;
    assert.deepEqual([well, nodes], [true, { checked: ['master', 'minion1'], total: 3 }]);
    const tried = rows.filter(({ verdict }) => verdict === 'ok');
    // Both families: 6 ways on the nodes, 6 across, 4 that are denied, 2 of probes.
    assert.equal(tried.length, 2 * (6 + 6 + 4 + 2));
    assert.equal(tried.filter(({ happened }) => happened === 'dropped').length, 8);
    assert.match(await good(['local', 'status', '--name', NAME]), /no pods/);
  });

  test('a check names the ways that a stray route shuts, with what to look at', async (t) => {
    const netns = ['-n', `${NAME}-master`, 'route'];
    // Halves of minion1's range, each more specific than the route to all of it.
    for (const half of ['10.1.0.0/17', '10.1.128.0/17']) {
      execFileSync('ip', [...netns, 'add', 'blackhole', half]);
      t.after(() => execFileSync('ip', [...netns, 'del', 'blackhole', half]));
    }
    const { status, stdout } = await romana(['check', '--name', NAME, '--nodes', '2']);
    assert.equal(status, 1, stdout);
    const wrong = stdout.split('\n').filter((line) => line.endsWith('NOT AS EXPECTED'));
    assert.ok(
      wrong.some((line) => /^pod on master +pod on minion1 +IPv4 +answered +a time-out/.test(line)),
      stdout,
    );
    assert.ok(wrong.every((line) => line.includes('IPv4') && line.includes('master') && line.includes('minion1')));
    assert.match(stdout, /\nAcross nodes: /);
  });

  test('a check ended early removes what it had made', async () => {
    const child = spawn(`${CHECKOUT}/bin/romana`, ['check', '--name', NAME], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    await waitFor('its pods', async () => (await good(['endpoints', '--name', NAME])).includes('romana-check-'));
    child.kill('SIGINT');
    assert.equal(await ended, 130, said);
    assert.match(said, /romana check: ended early by SIGINT; what it had made is removed\n$/);
    assert.match(await good(['local', 'status', '--name', NAME]), /no pods/);
  });

  test('apply, exec, ip and delete find the cluster by its name', async () => {
    await good(['apply', '--name', NAME, '-f', '-'], pod('tool'));
    const ready = Date.now() + 20_000;
    let address = '';
    while (address === '' && Date.now() < ready) {
      address = /default\/tool .*?Running +(10\.\S+)/.exec(await good(['local', 'status', '--name', NAME]))?.[1] ?? '';
    }
    const ip = JSON.parse(await good(['ip', '--name', NAME, '-o', 'json', address])) as Record<string, unknown>;
    assert.deepEqual([ip['address'], ip['family'], ip['tenantName'], ip['segmentName']], [address, 4, 'default', 'x']);
    assert.equal((await good(['exec', '--name', NAME, 'tool', '--', 'echo', 'hello'])).trim(), 'hello');
    assert.equal((await romana(['exec', '--name', NAME, 'tool', '--', 'sh', '-c', 'exit 7'])).status, 7);
    assert.equal((await romana(['local', 'exec', '--name', NAME, 'tool', '--', 'sh', '-c', 'exit 8'])).status, 8);
    await good(['delete', '--name', NAME, '-f', '-'], pod('tool'));
    assert.match(await good(['local', 'status', '--name', NAME]), /no pods/);
  });

  test('a bad document changes nothing and is named', async () => {
    const bad =
      '{"apiVersion":"romana.io/demo/v1","kind":"NetworkPolicy","metadata":{"name":"p"},"spec":{"podSelector":7}}';
    const { status, stderr } = await romana(
      ['apply', '--name', NAME, '-n', 'tenant-a', '-f', '-'],
      `${bad}\n---\n${pod('never')}`,
    );
    assert.equal(status, 2);
    assert.match(stderr, /spec\.podSelector/);
    assert.equal((await romana(['delete', '--name', NAME, '-f', '-'], pod('never'))).status, 1);
  });

  test('local status names a pod that cannot run, and why', async () => {
    const broken = JSON.stringify({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'broken' },
      spec: { containers: [{ name: 'main', image: 'no-such-image' }] },
    });
    await good(['apply', '--name', NAME, '-f', '-'], broken);
    const seen = await waitFor('the problem', async () => {
      const { status, stdout } = await romana(['local', 'status', '--name', NAME]);
      return /problem: pod default\/broken: (?:ErrImagePull|ImagePullBackOff)/.test(stdout) && { status };
    });
    assert.equal(seen.status, 1);
    await good(['delete', '--name', NAME, '-f', '-'], broken);
    assert.match(await good(['local', 'status', '--name', NAME]), /all is well/);
  });

  test('the kubeconfig is one that any client reads', async () => {
    const config = parse(await good(['local', 'kubeconfig', '--name', NAME])) as {
      clusters: { cluster: { server: string } }[];
    };
    assert.match(config.clusters[0]?.cluster.server ?? '', /^https:\/\/127\.0\.0\.1:\d+$/);
  });
});

test('romana answers bad words with status 2 and one line that names them', async () => {
  for (const words of [
    ['ip', '10.1.17.300'],
    ['local', 'up', '--minions', '9'],
    ['check', '--nodes', '0'],
    ['check', '--outside', 'fd00::1:80'],
    ['local', 'up', '--plan', '10.0.0.0/8:8,4,4,9'],
    ['nonsense'],
  ]) {
    const { status, stderr } = await romana(words);
    assert.equal(status, 2, words.join(' '));
    assert.notEqual(stderr.trim(), '');
  }
});
