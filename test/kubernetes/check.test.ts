import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, suite, test } from 'node:test';
import { runCommand } from '../../src/local/run-command.ts';
import { NAMESPACES } from '../../src/objects/resources.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { check, outcome, romana, text, wrong } from '../support/kube-check.ts';
import { KubeCluster, NO_KUBERNETES } from '../support/kube-cluster.ts';

/** Of the fabric, and neither a node's nor a pod's. */
const OUTSIDE = { 4: '192.168.99.200', 6: 'fd00:99::c8' } as const;

async function checkNamespaces(cluster: KubeCluster): Promise<readonly unknown[]> {
  return (await cluster.client.list(NAMESPACES, { labelSelector: 'romana.io/check' })).items;
}

suite('romana check and romana demo on a real Kubernetes', { skip: NO_KUBERNETES }, () => {
  let cluster: KubeCluster;
  before(async () => {
    cluster = await KubeCluster.up({ minions: 1 });
  });
  after(() => cluster[Symbol.asyncDispose]());

  test('check: all is as expected, Services and DNS too, and nothing is left', async () => {
    const { report, status } = await check(cluster);
    assert.deepEqual(wrong(report), []);
    assert.equal(status, 0);
    const good = report.rows.filter(({ verdict }) => verdict === 'ok').map(text);
    for (const way of [
      /^pod on minion1 > the API server's ClusterIP, 10\.96\.0\.1:443 IPv4: answered$/,
      /^pod on master > kubernetes\.default by the cluster's DNS: answered$/,
      /^pod on master > pod on minion1 IPv6: answered$/,
      /^pod on minion1 > isolated pod on master IPv4: dropped$/,
      /^node master > isolated pod on master IPv6: answered$/,
    ])
      assert.equal(good.filter((row) => way.test(row)).length, 1, `${way}\n${good.join('\n')}`);
    assert.deepEqual(await checkNamespaces(cluster), []);
  });

  test('check: what is outside is reached, and one that does not answer is named', async (t) => {
    const netns = `${cluster.layout.name}-fabric`;
    const link = (await runCommand('ip', ['-n', netns, '-o', 'link', 'show', 'type', 'bridge'])).split(': ')[1] ?? '';
    for (const address of [`${OUTSIDE[4]}/24`, `${OUTSIDE[6]}/64`])
      await runCommand('ip', ['-n', netns, 'addr', 'add', address, 'dev', link, 'nodad']);
    const listen = `require('net').createServer((s) => s.destroy()).listen(8000, () => console.log('listens'))`;
    const server = spawn('ip', ['netns', 'exec', netns, process.execPath, '-e', listen], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.after(() => server.kill('SIGKILL'));
    let said = '';
    server.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await waitFor('the server outside', () => said.includes('listens'));
    const there = [`--outside ${OUTSIDE[4]}:8000`, `--outside [${OUTSIDE[6]}]:8000`].join(' ');
    const { report } = await check(cluster, there);
    assert.deepEqual(wrong(report), []);
    assert.equal(report.rows.filter(({ to, verdict }) => to.startsWith('outside, ') && verdict === 'ok').length, 4);
    const nobody = await check(cluster, `--nodes 1 --outside ${OUTSIDE[4]}:8001`);
    assert.deepEqual(wrong(nobody.report), [`pod on master > outside, ${OUTSIDE[4]}:8001 IPv4: a refusal`]);
    assert.equal(nobody.status, 1);
  });

  test('check: without DNS, the rows of DNS fail, and no others', async (t) => {
    const scale = (replicas: number): Promise<string> =>
      cluster.kubectl('-n', 'kube-system', 'scale', 'deployment/coredns', `--replicas=${replicas}`);
    await scale(0);
    t.after(() => scale(1));
    await cluster.kubectl(
      '-n',
      'kube-system',
      'wait',
      'pod',
      '-l',
      'k8s-app=kube-dns',
      '--for=delete',
      '--timeout=60s',
    );
    const { report, status } = await check(cluster);
    assert.equal(status, 1);
    const rows = wrong(report);
    assert.equal(rows.length, 2, rows.join('\n'));
    for (const row of rows) assert.match(row, /> kubernetes\.default by the cluster's DNS: a (?:refusal|time-out) of /);
    assert.match(report.hints.join('\n'), /^DNS: /);
  });

  test('check: a stray route on one node fails the ways that it shuts', async (t) => {
    const route = ['-n', `${cluster.layout.name}-master`, 'route'];
    // Halves of minion1's range, each more specific than the route to all of it.
    for (const half of ['10.1.0.0/17', '10.1.128.0/17']) {
      await runCommand('ip', [...route, 'add', 'blackhole', half]);
      t.after(() => runCommand('ip', [...route, 'del', 'blackhole', half]));
    }
    const { report, status } = await check(cluster);
    assert.equal(status, 1);
    const rows = wrong(report);
    assert.ok(rows.includes('pod on master > pod on minion1 IPv4: a time-out'), rows.join('\n'));
    assert.deepEqual(
      rows.filter((row) => row.includes('IPv6')),
      [],
    );
  });

  test("the founding page's demo is as expected, from wherever the kubeconfig is", async () => {
    const { status, stdout, stderr } = await romana(cluster, 'demo');
    assert.equal(status, 0, stderr + outcome(stdout));
    assert.match(stdout, /All 24 were as expected\.\n$/);
  });
});
