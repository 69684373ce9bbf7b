import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { isNotFound } from '../../src/kube/client.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { IN_NODE } from '../../src/local/services.ts';
import { claimName, ID_CLAIMS } from '../../src/objects/id-claim.ts';
import { attachmentsMatch } from '../support/kube-attachments.ts';
import { KubeCluster, NO_KUBERNETES } from '../support/kube-cluster.ts';
import type { KubeNode } from '../support/kube-node.ts';
import {
  allow,
  type Bits,
  bitsOf,
  bystander,
  isolatedNamespace,
  KubePeers,
  listenAt,
  PORTS,
} from '../support/kube-peers.ts';
import { leasesAt } from '../support/pod-probe.ts';
import type { Connection, Flood, Probe } from '../support/probe.ts';
import { commandsOf, scriptsOf } from '../support/walk.ts';

const NS = 'kept';
/** Of the server: what a policy opened after the backup, what one opened until then, what one opens after the restore. */
const LATER = { given: 83, taken: 84, other: 85 } as const;
const ISOLATION = 'net.alpha.kubernetes.io/network-isolation';
const PATIENCE = { timeoutMs: 120_000, everyMs: 200 } as const;

suite('etcd restored from a backup', { skip: NO_KUBERNETES }, () => {
  let cluster: KubeCluster;
  let peers: KubePeers;
  let master: KubeNode;

  before(async () => {
    cluster = await KubeCluster.up({ minions: 2 });
    peers = await KubePeers.make(cluster, NS);
    master = cluster.node('master');
  });
  after(async () => {
    await peers?.[Symbol.asyncDispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  /** Runs a script of the page where etcd is, as an administrator. */
  const follow = (script: string): Promise<string> =>
    master.sh(`export KUBECONFIG=${IN_NODE.peopleKubeconfig}\n${script}`);

  /** Whom a pod's addresses say that they belong to, in each family alike. */
  async function bits(pod: string): Promise<Bits> {
    const [first, second] = (await cluster.addressesOf(pod)).map(bitsOf);
    assert.deepEqual(first, second);
    return first ?? assert.fail(`${pod} has no addresses`);
  }

  test('R33: by the steps of docs/install.md, what was made since is no peer, ids are given once, and traffic goes on', async () => {
    const [backup = '', scale = '', restore = '', mark = ''] = scriptsOf('install.md', 'etcd');
    const over = commandsOf('install.md', 'kubernetes').find((line) => line.startsWith('kubectl wait network default'));
    assert.ok(over !== undefined && mark.includes('romana.io/restored'));
    const known = await makeOfBackup();
    await follow(backup);
    const since = await changeSince(known);

    const stop = await peers.traffic();
    await follow(scale);
    const controllers = ['-l', 'app.kubernetes.io/component=controller', '--timeout=60s'];
    await cluster.kubectl('-n', 'romana-system', 'wait', '--for=delete', 'pod', ...controllers);
    // What it runs lives on, whatever the restored API server says.
    await cluster.node('minion1').hold('kubelet');
    try {
      await master.hold('kube-apiserver');
      await master.hold('etcd');
      await follow(restore);
      master.release('etcd');
      await waitFor('etcd', () => follow('etcdctl endpoint health'), PATIENCE);
      await follow(mark);
      master.release('kube-apiserver');
      const newcomer = [isolatedNamespace('newcomer'), bystander('newcomer', 'pod', 'minion2', { segment: 'a' })];
      await waitFor('the API server', () => cluster.apply(...newcomer).then(() => true), PATIENCE);
      await oldOwnersAlone(since.intruder);
      await follow(over);
      await asInBackup(since.connections);
      await idsOnce(since);
    } finally {
      cluster.node('minion1').release('kubelet');
    }
    await attachmentsMatch(cluster, ['master', 'minion1', 'minion2']);
    assert.deepEqual(await bits(`${NS}/victim`), known.victim);
    await stop();
  });

  /** What the backup has beside the peers. */
  async function makeOfBackup(): Promise<{ readonly old: Bits; readonly victim: Bits }> {
    await cluster.apply(
      isolatedNamespace('old'),
      allow('old', 'from-in', { segment: 'in' }, PORTS.open),
      bystander('old', 'server', 'minion2', { segment: 'server' }),
      bystander('old', 'in', 'minion2', { segment: 'in' }),
      isolatedNamespace('shut'),
      bystander('shut', 'server', 'minion2', {}),
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'open' } },
      bystander('open', 'server', 'minion2', {}),
      allow(NS, 'taken', { segment: 'client' }, LATER.taken),
    );
    for (const pod of ['old/server', 'old/in', 'shut/server', 'open/server']) await cluster.ready(pod);
    return { old: await bits('old/in'), victim: await bits(`${NS}/victim`) };
  }

  /** What the backup does not know of. */
  interface Since {
    /** In a namespace that has the ids of `old/in`. */
    readonly intruder: Probe;
    /** In a segment that the backup does not know. */
    readonly fresh: Probe;
    /** Of what lives on, that has ids which the backup does not know. */
    readonly bits: { readonly heir: Bits; readonly lost: Bits; readonly fresh: Bits };
    /** By what is allowed since then. */
    readonly connections: readonly Connection[];
  }

  async function changeSince({ old }: { readonly old: Bits }): Promise<Since> {
    await cluster.kubectl('delete', 'namespace', 'old');
    await cluster.kubectl('-n', NS, 'delete', 'networkpolicy/taken', 'pod/victim');
    await cluster.kubectl('annotate', 'namespace', 'shut', `${ISOLATION}-`);
    await cluster.apply(
      isolatedNamespace('open'),
      allow(NS, 'given', { segment: 'client' }, LATER.given),
      bystander(NS, 'fresh', 'minion1', { segment: 'late' }),
    );
    const claim = claimName('Tenant', old.tenant);
    const free = (): Promise<boolean> => cluster.client.get(ID_CLAIMS, claim).then(() => false, isNotFound);
    await waitFor(`${claim} to be free`, free, PATIENCE);
    await cluster.apply(isolatedNamespace('heir'), bystander('heir', 'intruder', 'minion1', { segment: 'in' }));
    await cluster.ready('heir/intruder');
    await cluster.apply(isolatedNamespace('lost'), bystander('lost', 'pod', 'minion1', { segment: 'a' }));
    for (const pod of ['lost/pod', `${NS}/fresh`]) await cluster.ready(pod);
    assert.deepEqual(await bits('heir/intruder'), old, 'ids are given anew when nobody means their old owner');

    await listenAt(peers.server, Object.values(LATER));
    await listenAt(await peers.probe('minion2', 'server', 'shut'), [PORTS.open]);
    await listenAt(await peers.probe('minion2', 'server', 'open'), [PORTS.open]);
    const connections: Connection[] = [];
    for (const [pod, port] of [
      [`${NS}/server`, LATER.given],
      ['shut/server', PORTS.open],
    ] as const) {
      for (const address of await cluster.addressesOf(pod)) {
        const opens = async (): Promise<boolean> => (await peers.client.udp(address, port)) === 'open';
        await waitFor(`${pod} to answer at ${address}`, opens, PATIENCE);
        connections.push(await peers.client.open(address, port));
      }
    }
    return {
      intruder: await peers.probe('minion1', 'intruder', 'heir'),
      fresh: await peers.probe('minion1', 'fresh'),
      bits: { heir: old, lost: await bits('lost/pod'), fresh: await bits(`${NS}/fresh`) },
      connections,
    };
  }

  /** Pods of the backup that were gone are made again; theirs take from their own peers, and not from who has their ids. */
  async function oldOwnersAlone(intruder: Probe): Promise<void> {
    const floods: Flood[] = [];
    const addresses = await waitFor('the server of the backup to have addresses', () => leased('old', 'server'), {
      ...PATIENCE,
      everyMs: 20,
    });
    for (const address of addresses) floods.push(await intruder.flood(address, PORTS.open));
    const server = await peers.probe('minion2', 'server', 'old');
    await listenAt(server, [PORTS.open]);
    await waitFor('the peer of the backup to have addresses', () => leased('old', 'in'), PATIENCE);
    const own = await peers.probe('minion2', 'in', 'old');
    for (const address of addresses) {
      const reaches = async (): Promise<boolean> => (await own.udp(address, PORTS.open)) === 'open';
      await waitFor(`${address} to answer its peer`, reaches, PATIENCE);
    }
    await cluster.ready('old/server', PATIENCE.timeoutMs);
    for (const flood of floods) await flood.stop();
    const heard = await server.received('udp', PORTS.open);
    assert.deepEqual([...heard.keys()].toSorted(), [...(leased('old', 'in') ?? [])].toSorted());
  }

  function leased(namespace: string, pod: string): readonly string[] | undefined {
    const lease = leasesAt(cluster.node('minion2')).find((one) => one.namespace === namespace && one.pod === pod);
    return lease?.addresses;
  }

  /** Policies, isolation and pods are those of the backup; what was allowed only since then is cut. */
  async function asInBackup(connections: readonly Connection[]): Promise<void> {
    const reach = async (pod: string, port: number, expected: boolean): Promise<void> => {
      for (const address of await cluster.addressesOf(pod)) {
        const holds = async (): Promise<boolean> => ((await peers.client.udp(address, port)) === 'open') === expected;
        await waitFor(`${pod} to be ${expected ? 'open' : 'closed'} at ${address}`, holds, PATIENCE);
      }
    };
    await reach(`${NS}/server`, LATER.taken, true);
    await reach('open/server', PORTS.open, true);
    await reach(`${NS}/server`, LATER.given, false);
    await reach('shut/server', PORTS.open, false);
    for (const connection of connections) assert.equal(await connection.exchange(), false);
    await cluster.ready(`${NS}/victim`, PATIENCE.timeoutMs);
  }

  /** Nobody gets an id by which something lives on that the backup does not know. */
  async function idsOnce(since: Since): Promise<void> {
    await cluster.apply(
      allow(NS, 'from-other', { segment: 'other' }, LATER.other),
      bystander(NS, 'other', 'minion2', { segment: 'other' }),
      isolatedNamespace('newest'),
      bystander('newest', 'pod', 'minion2', { segment: 'a' }),
    );
    for (const pod of ['newcomer/pod', 'newest/pod', `${NS}/other`]) await cluster.ready(pod, PATIENCE.timeoutMs);
    const [newcomer, newest, other] = [await bits('newcomer/pod'), await bits('newest/pod'), await bits(`${NS}/other`)];
    const tenants = new Set([newest, since.bits.heir, since.bits.lost].map(({ tenant }) => tenant));
    assert.equal(tenants.size, 3);
    assert.ok(newcomer.pool || !tenants.has(newcomer.tenant), JSON.stringify(newcomer));
    assert.notDeepEqual(other, since.bits.fresh);

    const floods: Flood[] = [];
    const addresses = await peers.addresses();
    for (const address of addresses) floods.push(await since.fresh.flood(address, LATER.other));
    const other1 = await peers.probe('minion2', 'other');
    for (const address of addresses) {
      const reaches = async (): Promise<boolean> => (await other1.udp(address, LATER.other)) === 'open';
      await waitFor(`${address} to answer the new segment`, reaches, PATIENCE);
    }
    for (const flood of floods) await flood.stop();
    const heard = await peers.server.received('udp', LATER.other);
    assert.deepEqual([...heard.keys()].toSorted(), (await cluster.addressesOf(`${NS}/other`)).toSorted());
  }
});
