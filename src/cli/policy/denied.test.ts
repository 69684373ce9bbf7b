import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { FakeKubeClient } from '../../kube/fake-client.ts';
import { systemClock } from '../../lib/clock.ts';
import { waitFor } from '../../lib/wait-for.ts';
import { type Denial, DENIAL_ANNOTATION, denialText } from '../../objects/denial.ts';
import { EVENTS } from '../../objects/resources.ts';
import type { Output } from '../listing.ts';
import { deniedCommand, deniedWatchCommand } from './denied.ts';

const TO_BACKEND: Denial = {
  direction: 'ingress',
  from: 'tenant-b/client',
  fromAddress: '10.2.33.3',
  to: 'tenant-a/backend',
  toAddress: '10.1.18.3',
  port: 'TCP/81',
  tier: 'isolation',
  object: 'Namespace tenant-a',
  field: 'metadata.annotations',
  near: [],
};
const TO_OUTSIDE: Denial = {
  ...TO_BACKEND,
  direction: 'egress',
  to: '203.0.113.7',
  toAddress: '203.0.113.7',
  tier: 'admin',
  object: 'ClusterNetworkPolicy kept',
  field: 'spec.egress[0].to[0]',
};

async function tell(
  client: FakeKubeClient,
  name: string,
  denial: Denial,
  at: { readonly node: string; readonly time: string; readonly text?: string },
): Promise<void> {
  const namespace = (denial.direction === 'ingress' ? denial.to : denial.from).split('/')[0] ?? '';
  const annotations = { [DENIAL_ANNOTATION]: at.text ?? JSON.stringify(denial) };
  await client.create(EVENTS, {
    metadata: { name, namespace, annotations },
    reason: 'PolicyDenied',
    message: denialText(denial),
    source: { component: 'romana-agent', host: at.node },
    lastTimestamp: at.time,
    count: 1,
  });
}

async function cluster(): Promise<FakeKubeClient> {
  const client = new FakeKubeClient();
  await tell(client, 'late', TO_BACKEND, { node: 'minion1', time: '2026-01-01T00:02:00Z' });
  await tell(client, 'early', TO_OUTSIDE, { node: 'minion2', time: '2026-01-01T00:01:00Z' });
  await client.create(EVENTS, { metadata: { name: 'other', namespace: 'tenant-a' }, reason: 'Killing' });
  return client;
}

function capture(client: FakeKubeClient) {
  const written = { stdout: '', stderr: '' };
  const deps = {
    connect: () => Promise.resolve(client),
    stdout: { write: (text: string) => (written.stdout += text) },
    stderr: { write: (text: string) => (written.stderr += text) },
  };
  return { written, deps };
}

test('policy denied lists what all nodes told, the latest last, with why', async () => {
  const { written, deps } = capture(await cluster());
  assert.equal(await deniedCommand({ output: 'table' }, deps), 0);
  assert.equal(
    written.stdout,
    `LAST                   NODE      TIMES   DENIED    FROM              TO                 PORT     BY
2026-01-01T00:01:00Z   minion2   1       egress    tenant-b/client   203.0.113.7        TCP/81   ClusterNetworkPolicy kept spec.egress[0].to[0] in the Admin tier
2026-01-01T00:02:00Z   minion1   1       ingress   tenant-b/client   tenant-a/backend   TCP/81   isolated by Namespace tenant-a, and no policy allows anything
`,
  );
});

test('policy denied -n lists those of pods of one namespace, as JSON field by field', async () => {
  const { written, deps } = capture(await cluster());
  assert.equal(await deniedCommand({ output: 'json', namespace: 'tenant-a' }, deps), 0);
  assert.deepEqual(JSON.parse(written.stdout), [
    { ...TO_BACKEND, node: 'minion1', time: '2026-01-01T00:02:00Z', times: 1 },
  ]);
});

test('policy denied says which Event it cannot read, and where there is no cluster', async () => {
  const client = await cluster();
  await tell(client, 'odd', TO_BACKEND, { node: 'minion1', time: '2026-01-01T00:03:00Z', text: '{"port":1}' });
  const { written, deps } = capture(client);
  assert.equal(await deniedCommand({ output: 'table' }, deps), 1);
  assert.equal(written.stdout.split('\n').length, 4);
  assert.match(
    written.stderr,
    /^romana: Event tenant-a\/odd can't be read: metadata\.annotations\[romana\.io\/denial\]/,
  );
  assert.equal(await deniedCommand({ output: 'table' }, { ...deps, connect: nowhere }), 1);
});

const nowhere = (): Promise<never> => Promise.reject(new Error('no cluster was found'));

function watch(t: TestContext, client: FakeKubeClient, output: Output) {
  const { written, deps } = capture(client);
  const abort = new AbortController();
  t.after(() => abort.abort());
  const done = deniedWatchCommand({ output }, { ...deps, clock: systemClock, signal: abort.signal });
  const lines = (count: number): Promise<string[]> =>
    waitFor(`${count} lines in ${written.stdout}`, () => {
      const all = written.stdout.trimEnd().split('\n');
      return all.length >= count && all;
    });
  return { written, lines, stop: () => (abort.abort(), done) };
}

test('policy denied -w goes on with each that is told, and with each that is told again', async (t) => {
  const client = await cluster();
  const { lines, stop } = watch(t, client, 'table');
  assert.deepEqual(
    (await lines(3)).map((line) => line.split(/ {2,}/)[0]),
    ['LAST', '2026-01-01T00:01:00Z', '2026-01-01T00:02:00Z'],
  );
  await tell(client, 'new', { ...TO_BACKEND, port: 'ICMP' }, { node: 'minion1', time: '2026-01-01T00:03:00Z' });
  assert.match((await lines(4))[3] ?? '', /^2026-01-01T00:03:00Z {3}minion1 +1 +ingress .* ICMP +isolated by/);
  const again = { count: 2, lastTimestamp: '2026-01-01T00:04:00Z' };
  await client.patch(EVENTS, 'new', again, { namespace: 'tenant-a' });
  await client.patch(EVENTS, 'new', { metadata: { labels: { a: 'b' } } }, { namespace: 'tenant-a' });
  await client.delete(EVENTS, 'late', { namespace: 'tenant-a' });
  await tell(client, 'last', TO_OUTSIDE, { node: 'minion2', time: '2026-01-01T00:05:00Z' });
  const all = await lines(6);
  assert.match(all[4] ?? '', /^2026-01-01T00:04:00Z {3}minion1 +2 /);
  assert.match(all[5] ?? '', /^2026-01-01T00:05:00Z /);
  assert.equal(all.length, 6);
  assert.equal(await stop(), 0);
});

test('policy denied -w -o json prints one a line; a server that refuses at first ends it with 1', async (t) => {
  const client = await cluster();
  const { lines, stop } = watch(t, client, 'json');
  const [first = ''] = await lines(2);
  assert.deepEqual(JSON.parse(first), { ...TO_OUTSIDE, node: 'minion2', time: '2026-01-01T00:01:00Z', times: 1 });
  assert.equal(await stop(), 0);
  const refusing = Object.assign(new FakeKubeClient(), {
    version: () => Promise.reject(new Error('events is forbidden')),
  });
  const refused = watch(t, refusing, 'table');
  assert.equal(await refused.stop(), 0, 'who stops it at once has not failed');
  const { written, deps } = capture(refusing);
  const signal = new AbortController().signal;
  assert.equal(await deniedWatchCommand({ output: 'table' }, { ...deps, clock: systemClock, signal }), 1);
  assert.equal(written.stderr, 'romana: events is forbidden\n');
});
