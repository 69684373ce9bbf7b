import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test, type TestContext } from 'node:test';

import { type KubeClient, UnansweredError } from '../kube/client.ts';
import { FakeKubeClient } from '../kube/fake-client.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { silentLog } from '../lib/log.ts';
import { waitFor } from '../lib/wait-for.ts';
import { ID_CLAIMS, idClaimToJson } from '../objects/id-claim.ts';
import {
  CLUSTER_NETWORK_POLICIES,
  DEMO_POLICIES,
  HOSTS,
  NAMESPACES,
  NETWORK_POLICIES,
  NETWORKS,
  PODS,
} from '../objects/resources.ts';
import { Known } from './known.ts';
import { Observer } from './observer.ts';
import { LINGER_MS } from './peer-watches.ts';

const directory = mkdtempSync(join(tmpdir(), 'romana-observer-'));
after(() => rmSync(directory, { recursive: true }));

const NETWORK = {
  apiVersion: 'romana.io/v1',
  kind: 'Network',
  metadata: { name: 'default' },
  spec: { plans: [{ cidr: '10.0.0.0/8', hostBits: 8, tenantBits: 4, segmentBits: 4, endpointBits: 8 }] },
};
const HOST = {
  apiVersion: 'romana.io/v1',
  kind: 'Host',
  metadata: { name: 'minion1' },
  spec: { id: 1, ranges: ['10.1.0.0/16'], addresses: ['192.168.99.11'] },
};

/** What a controller does before it makes that Host. */
async function claimId(client: FakeKubeClient, name = 'minion1'): Promise<void> {
  await client.create(ID_CLAIMS, idClaimToJson({ kind: 'Host', id: 1, holder: { name, uid: '' } }));
}

function pod(name: string, nodeName = 'minion1', labels: object = {}): object {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'a', labels }, spec: { nodeName } };
}

/** @param known where an observer before it has kept what it knew. */
function start(
  t: TestContext,
  client: KubeClient,
  known = mkdtempSync(join(directory, 'known-')),
  clock: Clock = systemClock,
): Observer {
  const end = new AbortController();
  t.after(() => end.abort());
  const observer = new Observer({
    client,
    node: 'minion1',
    clock,
    log: silentLog,
    known: new Known(known, silentLog),
    onChange: () => undefined,
    onVersion: () => undefined,
    onList: () => undefined,
  });
  observer.start(end.signal);
  return observer;
}

async function watching(
  t: TestContext,
  client = new FakeKubeClient(),
  clock?: Clock,
): Promise<{ client: FakeKubeClient; observer: Observer }> {
  const observer = start(t, client, undefined, clock);
  await waitFor('the first lists', () => observer.synced);
  return { client, observer };
}

test('Observer.missing says what is waited for, one thing after the other', async (t) => {
  const { client, observer } = await watching(t);
  assert.match(observer.missing ?? '', /waits for the cluster's Network object 'default'/);
  await client.create(NETWORKS, NETWORK);
  await waitFor('the Network', () => /waits for the controller to make the Host minion1/.test(observer.missing ?? ''));
  await client.create(HOSTS, HOST);
  await waitFor('the Host', () => /waits for the controller to claim the id/.test(observer.missing ?? ''));
  await claimId(client);
  await waitFor('the claim', () => observer.missing === undefined);
  assert.equal(observer.network?.plans[0]?.cidr, '10.0.0.0/8');
});

test('Observer.network keeps the last plans that fit the Host when somebody changes them under it', async (t) => {
  const { client, observer } = await watching(t);
  await client.create(NETWORKS, NETWORK);
  await claimId(client);
  await client.create(HOSTS, HOST);
  await waitFor('both', () => observer.missing === undefined);
  const other = { cidr: '10.0.0.0/8', hostBits: 4, tenantBits: 8, segmentBits: 4, endpointBits: 8 };
  await client.patch(NETWORKS, 'default', { spec: { plans: [other] } });
  await client.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'later' } });
  await waitFor('what came later', () => observer.namespaces.store.has('later'));
  assert.equal(observer.network?.plans[0]?.hostBits, 8);

  const { observer: fresh } = await watching(t, client);
  assert.match(fresh.missing ?? '', /do not give the ranges of Host minion1, 10\.1\.0\.0\/16; put the plans back/);
});

test('Observer remembers a pod that was deleted by force while its lease is there', async (t) => {
  const { client, observer } = await watching(t);
  await client.create(NETWORKS, NETWORK);
  await claimId(client);
  await client.create(HOSTS, HOST);
  const { uid } = ((await client.create(PODS, pod('p'))) as { metadata: { uid: string } }).metadata;
  await waitFor('the pod', () => observer.missing === undefined && observer.podByUid(uid) !== undefined);
  await client.delete(PODS, 'p', { namespace: 'a' });
  await waitFor('its end', () => observer.pods.store.size === 0);
  const lease = { uid } as Parameters<Observer['snapshot']>[0][number];
  assert.ok(observer.snapshot([lease], [])?.localPods.has(uid));
  assert.ok(!observer.snapshot([], [])?.localPods.has(uid));
});

test('Observer.snapshot has the policies of every kind as one list', async (t) => {
  const { client, observer } = await watching(t);
  await client.create(NETWORKS, NETWORK);
  await claimId(client);
  await client.create(HOSTS, HOST);
  const metadata = { name: 'p', namespace: 'a' };
  await client.create(DEMO_POLICIES, {
    apiVersion: 'demo.romana.io/v1',
    kind: 'NetworkPolicy',
    metadata,
    spec: { podSelector: {} },
  });
  await client.create(NETWORK_POLICIES, { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata });
  await client.create(CLUSTER_NETWORK_POLICIES, {
    apiVersion: 'policy.networking.k8s.io/v1alpha2',
    kind: 'ClusterNetworkPolicy',
    metadata: { name: 'p' },
    spec: { tier: 'Baseline', priority: 1, subject: { namespaces: {} } },
  });
  const sources = (): unknown[] => (observer.snapshot([], [])?.policies ?? []).map(({ source }) => source);
  await waitFor('all three', () => sources().length === 3);
  assert.deepEqual(sources(), ['demo', 'v1', 'baseline']);
});

test('Observer.watchPeers watches just the pods that are asked for, and stops a while after', async (t) => {
  const clock = new FakeClock();
  const { client, observer } = await watching(t, undefined, clock);
  await client.create(NETWORKS, NETWORK);
  await claimId(client);
  await client.create(HOSTS, HOST);
  await client.create(PODS, pod('x', 'minion2', { app: 'x' }));
  await client.create(PODS, pod('y', 'minion2', { app: 'y' }));
  observer.watchPeers([{ namespace: 'a', selector: 'app=x' }]);
  const peers = (): unknown[] => (observer.snapshot([], [])?.peerPods ?? []).map(({ meta }) => meta.name);
  await waitFor('the peer', () => peers().length > 0);
  assert.deepEqual(peers(), ['x']);
  observer.watchPeers([]);
  await clock.advance(LINGER_MS - 1);
  assert.deepEqual(peers(), ['x'], 'a sandbox may be made anew');
  observer.watchPeers([{ namespace: 'a', selector: 'app=x' }]);
  await clock.advance(LINGER_MS);
  assert.deepEqual(peers(), ['x']);
  observer.watchPeers([]);
  await clock.advance(LINGER_MS);
  assert.deepEqual(peers(), []);
});

test('Observer.until looks again when the last of the first lists comes, even if it is empty', async (t) => {
  const client = new FakeKubeClient();
  const policies = Promise.withResolvers<void>();
  const list = client.list.bind(client);
  client.list = async (resource, options) => {
    if (resource === DEMO_POLICIES) await policies.promise;
    return list(resource, options);
  };
  const observer = start(t, client);
  const bounded = AbortSignal.timeout(5_000);
  const waiting = observer.until(() => (observer.synced ? 'synced' : undefined), bounded);
  await waitFor('the other lists', () => observer.pods.synced && observer.namespaces.synced);
  assert.equal(observer.synced, false);
  policies.resolve();
  assert.equal(await waiting, 'synced');
});

test('R33: Observer.host is unknown while its id is claimed by another node, or was written by who did not know better', async (t) => {
  const { client, observer } = await watching(t);
  await client.create(NETWORKS, NETWORK);
  await claimId(client, 'minion9');
  await client.create(HOSTS, HOST);
  await waitFor('the Host', () => observer.hosts.store.has('minion1'));
  assert.equal(observer.host, undefined);
  await client.patch(ID_CLAIMS, 'host-1', { spec: { holder: { name: 'minion1' } } });
  await waitFor('its own claim', () => observer.host?.id === 1);
  // Whatever is known of one Host says nothing of another one of its name.
  await client.patch(ID_CLAIMS, 'host-1', { spec: { holder: { name: 'minion9' } } });
  await client.delete(HOSTS, 'minion1');
  await client.create(HOSTS, HOST);
  await waitFor('the new Host', () => observer.hosts.store.has('minion1') && observer.host === undefined);
});

/** An API server that nobody reaches, and how often it was to list something. */
function away(): { readonly client: KubeClient; readonly lists: () => number } {
  const client = new FakeKubeClient();
  let lists = 0;
  client.list = () => {
    lists += 1;
    return Promise.reject(new UnansweredError('connection refused'));
  };
  client.get = () => Promise.reject(new UnansweredError('connection refused'));
  return { client, lists: () => lists };
}

test('Observer knows what the one before it knew while the API server is away, its own id and peers included', async (t) => {
  const client = new FakeKubeClient();
  await claimId(client);
  await client.create(NETWORKS, NETWORK);
  await client.create(HOSTS, HOST);
  await client.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'a' } });
  await client.create(PODS, pod('one'));
  await client.create(PODS, pod('peer', 'minion2', { app: 'x' }));
  const kept = mkdtempSync(join(directory, 'known-'));
  const before = start(t, client, kept);
  await waitFor('all to be known', () => before.missing === undefined);
  const wanted = [{ namespace: 'a', selector: 'app=x' }];
  before.watchPeers(wanted);
  await waitFor('the peers to be known', () => before.peersSynced);
  await client.create(PODS, pod('two', 'minion1', { segment: 'late' }));
  await waitFor('a later pod', () => before.pods.store.has('a/two'));

  const next = start(t, away().client, kept);
  await waitFor('what is missing to be nothing', () => next.missing === undefined);
  next.watchPeers(wanted);
  await waitFor('the peers', () => next.peersSynced);
  assert.deepEqual([...next.pods.store.keys()].toSorted(), ['a/one', 'a/two']);
  assert.equal(next.pods.store.get('a/two')?.meta.labels.get('segment'), 'late');
  assert.deepEqual(
    next.snapshot([], [])?.peerPods.map(({ meta }) => meta.name),
    ['peer'],
  );
  assert.equal(next.version, undefined, 'nothing is acknowledged by what may be old');
});

test('Observer waits for the API server when nothing was known before it', async (t) => {
  const { client, lists } = away();
  const observer = start(t, client);
  await waitFor('every list to have failed more than once', () => lists() > 12);
  assert.match(observer.missing ?? '', /waits for the API server/);
});
