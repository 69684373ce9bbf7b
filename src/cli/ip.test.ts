import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_PLANS, parsePlan } from '../addr/plan.ts';
import { err, ok, unwrap } from '../lib/result.ts';
import { ipCommand } from './ip.ts';
import type { ClusterPlans, IpArguments } from './ip.ts';

const cluster: ClusterPlans = {
  plans: DEFAULT_PLANS,
  hostName: (id) => (id === 1 ? 'minion1' : undefined),
  tenantName: (id) => (id === 1 ? 'tenant-a' : undefined),
  segmentName: (tenant, segment) => (tenant === 1 && segment === 1 ? 'frontend' : undefined),
};

async function run(args: Partial<IpArguments>, answer?: ClusterPlans) {
  let stdout = '';
  let stderr = '';
  const status = await ipCommand(
    { plan: [], output: 'text', ...args },
    {
      clusterPlans: async () => ok(answer),
      stdout: { write: (text) => (stdout += text) },
      stderr: { write: (text) => (stderr += text) },
    },
  );
  return { status, stdout, stderr };
}

void test('ipCommand decodes for people, with names where a cluster knows them', async () => {
  const { status, stdout, stderr } = await run({ address: '10.1.17.3' }, cluster);
  assert.deepEqual([status, stderr], [0, '']);
  assert.equal(
    stdout,
    '10.1.17.3\n  host      1      minion1\n  tenant    1      tenant-a\n  segment   1      frontend\n  endpoint  3\n',
  );
});

void test('ipCommand prints exactly the keys of the fields as JSON when no cluster answers', async () => {
  const { stdout } = await run({ address: '10.1.17.3', output: 'json' });
  assert.equal(stdout, '{"address":"10.1.17.3","family":4,"host":1,"tenant":1,"segment":1,"endpoint":3}\n');
  const v6 = await run({ address: 'FD00:10:0::1:1:1:3', output: 'json' });
  assert.equal(v6.stdout, '{"address":"fd00:10::1:1:1:3","family":6,"host":1,"tenant":1,"segment":1,"endpoint":3}\n');
});

void test('ipCommand refuses to guess a plan when the cluster that was asked for is not there', async () => {
  let said = '';
  const deps = {
    clusterPlans: async () => err('no local cluster is named "nope" (none runs)'),
    stdout: { write: (text: string) => (said += text) },
    stderr: { write: (text: string) => (said += text) },
  };
  assert.equal(await ipCommand({ address: '10.1.17.3', plan: [], output: 'text' }, deps), 2);
  assert.equal(said, 'romana ip: no local cluster is named "nope" (none runs)\n');
});

void test('ipCommand adds names to JSON when a cluster answers', async () => {
  const { stdout } = await run({ address: '10.1.17.3', output: 'json' }, cluster);
  const { hostName, tenantName, segmentName } = JSON.parse(stdout);
  assert.deepEqual([hostName, tenantName, segmentName], ['minion1', 'tenant-a', 'frontend']);
});

void test('ipCommand marks an address of the shared pool', async () => {
  const { stdout } = await run({ address: '10.2.3.4', output: 'json' }, cluster);
  const fields = { host: 2, tenant: 0, segment: 0, endpoint: 772 };
  assert.deepEqual(JSON.parse(stdout), { address: '10.2.3.4', family: 4, ...fields, pool: true });
  assert.match((await run({ address: '10.2.3.4' })).stdout, /tenant +0 +shared pool/);
});

void test('ipCommand shows segment 0 as the pods without the label', async () => {
  assert.match((await run({ address: '10.1.16.3' })).stdout, /segment +0 +- /);
});

void test('ipCommand makes the address of the given fields, one line a family', async () => {
  const fields = { host: '1', tenant: '1', segment: '1', endpoint: '3' };
  const { status, stdout } = await run(fields);
  assert.equal(status, 0);
  assert.deepEqual(stdout.match(/^\S+$/gm), ['10.1.17.3', 'fd00:10::1:1:1:3']);
  const json = await run({ ...fields, output: 'json', plan: ['10.0.0.0/8:8,4,4,8'] });
  assert.equal(JSON.parse(json.stdout).address, '10.1.17.3');
});

void test('ipCommand takes the given plan before that of the cluster, and this before the default', async () => {
  const address = '10.1.17.3';
  const plan = ['10.0.0.0/8:8,8,4,4'];
  const given = JSON.parse((await run({ address, plan, output: 'json' }, cluster)).stdout);
  assert.deepEqual(given, { address, family: 4, host: 1, tenant: 17, segment: 0, endpoint: 3 });
  const other = { ...cluster, plans: [unwrap(parsePlan('10.0.0.0/8:4,4,8,8'))] };
  const clusters = JSON.parse((await run({ address, output: 'json' }, other)).stdout);
  assert.deepEqual([clusters.host, clusters.tenant, clusters.segment], [0, 1, 17]);
});

void test('ipCommand answers bad input with status 2 and one line that names it', async () => {
  const fields = { host: '1', tenant: '1', segment: '1', endpoint: '3' };
  const table: readonly [Partial<IpArguments>, RegExp][] = [
    [{}, /an address is missing/],
    [{ address: '10.1.17.300' }, /"10\.1\.17\.300"/],
    [{ address: '10.1\n' }, /"10\.1\\n"/],
    [{ address: '11.1.17.3' }, /11\.1\.17\.3 is outside/],
    [{ address: '10.1.17.3', host: '1' }, /--host cannot stand beside/],
    [{ ...fields, tenant: '16' }, /tenant 16 does not fit/],
    [{ ...fields, tenant: '-1' }, /--tenant "-1"/],
    [{ ...fields, endpoint: '' }, /--endpoint ""/],
    [{ ...fields, endpoint: undefined }, /--endpoint is missing/],
    [{ address: '10.1.17.3', plan: ['10.0.0.0/8:8,4,4,7'] }, /8 \+ 8 \+ 4 \+ 4 \+ 7 = 31/],
    [{ address: '10.1.17.3', plan: ['10.0.0.0/8:8,4,4,8', '11.0.0.0/8:8,4,4,8'] }, /already .* for IPv4/],
  ];
  for (const [args, message] of table) {
    const { status, stdout, stderr } = await run(args);
    assert.deepEqual([status, stdout], [2, ''], String(message));
    assert.match(stderr, message);
    assert.equal(stderr.split('\n').length, 2, stderr);
  }
});
