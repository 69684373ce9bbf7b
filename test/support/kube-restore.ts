import assert from 'node:assert/strict';
import { isNotFound } from '../../src/kube/client.ts';
import { unwrap } from '../../src/lib/result.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { IN_NODE } from '../../src/local/services.ts';
import { claimName, ID_CLAIMS } from '../../src/objects/id-claim.ts';
import { parseNetwork } from '../../src/objects/network.ts';
import { NETWORKS } from '../../src/objects/resources.ts';
import { attachmentsMatch } from './kube-attachments.ts';
import type { KubeCluster } from './kube-cluster.ts';
import type { KubeNode } from './kube-node.ts';
import {
  allow,
  applyAll,
  type Bits,
  bitsOf,
  bystander,
  isolatedNamespace,
  type KubePeers,
  listenAt,
  PORTS,
} from './kube-peers.ts';
import { leasesAt } from './pod-probe.ts';
import type { Connection, Flood, Probe } from './probe.ts';
import { commandsOf, scriptsOf } from './walk.ts';

/** Of the server: what a policy opened after the backup, what one opened until then, what one opens after the restore. */
const LATER = { given: 83, taken: 84, other: 85 } as const;
const ISOLATION = 'net.alpha.kubernetes.io/network-isolation';
const PATIENCE = { timeoutMs: 120_000, everyMs: 200 } as const;

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

/**
 * A backup of etcd, changes of every kind, and the backup restored by the steps of docs/install.md, under the traffic of
 * `peers`, while a node's kubelet lets live on what the restored API server has never heard of.
 */
export class KubeRestore {
  readonly #cluster: KubeCluster;
  readonly #peers: KubePeers;
  readonly #master: KubeNode;

  constructor(cluster: KubeCluster, peers: KubePeers) {
    this.#cluster = cluster;
    this.#peers = peers;
    this.#master = cluster.node('master');
  }

  /** Runs a script of the page where etcd is, as an administrator. */
  #follow(script: string): Promise<string> {
    return this.#master.sh(`export KUBECONFIG=${IN_NODE.peopleKubeconfig}\n${script}`);
  }

  /** Whom a pod's addresses say that they belong to, in each family alike. */
  async #bits(pod: string): Promise<Bits> {
    const [first, second] = (await this.#cluster.addressesOf(pod)).map(bitsOf);
    assert.deepEqual(first, second);
    return first ?? assert.fail(`${pod} has no addresses`);
  }

  /** @throws AssertionError where something forbidden passed, something allowed broke, or an id was given twice */
  async run(): Promise<void> {
    const [backup = '', scale = '', restore = '', mark = ''] = scriptsOf('install.md', 'etcd');
    const over = commandsOf('install.md', 'kubernetes').find((line) => line.startsWith('kubectl wait network default'));
    assert.ok(over !== undefined && mark.includes('romana.io/restored'));
    const known = await this.#makeOfBackup();
    await this.#follow(backup);
    const since = await this.#changeSince(known);

    const stop = await this.#peers.traffic();
    await this.#follow(scale);
    // What it runs lives on, whatever the restored API server says.
    await this.#cluster.node('minion1').hold('kubelet');
    try {
      await this.#master.hold('kube-apiserver');
      await this.#master.hold('etcd');
      await this.#follow(restore);
      this.#master.release('etcd');
      await waitFor('etcd', () => this.#follow('etcdctl endpoint health'), PATIENCE);
      await this.#follow(mark);
      this.#master.release('kube-apiserver');
      const newcomer = [isolatedNamespace('newcomer'), bystander('newcomer', 'pod', 'minion2', { segment: 'a' })];
      await applyAll(this.#cluster, ...newcomer);
      await this.#oldOwnersAlone(since.intruder);
      await this.#follow(over);
      await this.#asInBackup(since.connections);
      await this.#idsOnce(since);
    } finally {
      this.#cluster.node('minion1').release('kubelet');
    }
    await attachmentsMatch(this.#cluster, ['master', 'minion1', 'minion2']);
    assert.deepEqual(await this.#bits(`${this.#peers.namespace}/victim`), known.victim);
    await stop();
  }

  /** What the backup has beside the peers. */
  async #makeOfBackup(): Promise<{ readonly old: Bits; readonly victim: Bits }> {
    await applyAll(
      this.#cluster,
      isolatedNamespace('old'),
      allow('old', 'from-in', { segment: 'in' }, PORTS.open),
      bystander('old', 'server', 'minion2', { segment: 'server' }),
      bystander('old', 'in', 'minion2', { segment: 'in' }),
      isolatedNamespace('shut'),
      bystander('shut', 'server', 'minion2', {}),
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'open' } },
      bystander('open', 'server', 'minion2', {}),
      allow(this.#peers.namespace, 'taken', { segment: 'client' }, LATER.taken),
    );
    for (const pod of ['old/server', 'old/in', 'shut/server', 'open/server']) await this.#cluster.ready(pod);
    return { old: await this.#bits('old/in'), victim: await this.#bits(`${this.#peers.namespace}/victim`) };
  }

  async #changeSince({ old }: { readonly old: Bits }): Promise<Since> {
    await this.#cluster.kubectl('delete', 'namespace', 'old');
    await this.#cluster.kubectl('-n', this.#peers.namespace, 'delete', 'networkpolicy/taken', 'pod/victim');
    await this.#cluster.kubectl('annotate', 'namespace', 'shut', `${ISOLATION}-`);
    await applyAll(
      this.#cluster,
      isolatedNamespace('open'),
      allow(this.#peers.namespace, 'given', { segment: 'client' }, LATER.given),
      bystander(this.#peers.namespace, 'fresh', 'minion1', { segment: 'late' }),
    );
    await this.#freeTenant(old.tenant);
    await applyAll(
      this.#cluster,
      isolatedNamespace('heir'),
      bystander('heir', 'intruder', 'minion1', { segment: 'in' }),
    );
    await this.#cluster.ready('heir/intruder');
    await applyAll(this.#cluster, isolatedNamespace('lost'), bystander('lost', 'pod', 'minion1', { segment: 'a' }));
    for (const pod of ['lost/pod', `${this.#peers.namespace}/fresh`]) await this.#cluster.ready(pod);
    assert.deepEqual(await this.#bits('heir/intruder'), old, 'ids are given anew when nobody means their old owner');

    await listenAt(this.#peers.server, Object.values(LATER));
    await listenAt(await this.#peers.probe('minion2', 'server', 'shut'), [PORTS.open]);
    await listenAt(await this.#peers.probe('minion2', 'server', 'open'), [PORTS.open]);
    const connections: Connection[] = [];
    for (const [pod, port] of [
      [`${this.#peers.namespace}/server`, LATER.given],
      ['shut/server', PORTS.open],
    ] as const) {
      for (const address of await this.#cluster.addressesOf(pod)) {
        const opens = async (): Promise<boolean> => (await this.#peers.client.udp(address, port)) === 'open';
        await waitFor(`${pod} to answer at ${address}`, opens, PATIENCE);
        connections.push(await this.#peers.client.open(address, port));
      }
    }
    return {
      intruder: await this.#peers.probe('minion1', 'intruder', 'heir'),
      fresh: await this.#peers.probe('minion1', 'fresh'),
      bits: {
        heir: old,
        lost: await this.#bits('lost/pod'),
        fresh: await this.#bits(`${this.#peers.namespace}/fresh`),
      },
      connections,
    };
  }

  /** Waits until an id of a tenant that is gone may be given. */
  async #freeTenant(id: number): Promise<void> {
    const claim = claimName('Tenant', id);
    const announced = async (): Promise<boolean> =>
      unwrap(parseNetwork(await this.#cluster.client.get(NETWORKS, 'default'))).releases.length > 0;
    await waitFor(`${claim} to be released`, announced, PATIENCE);
    // Agents that begin anew read all anew; others would wait for the bookmarks of what is quiet. Their pods stay: the
    // backup knows these.
    for (const node of this.#cluster.layout.nodes)
      await this.#cluster.node(node.name).signalProgram('romana agent', 'KILL');
    const free = (): Promise<boolean> => this.#cluster.client.get(ID_CLAIMS, claim).then(() => false, isNotFound);
    await waitFor(`${claim} to be free`, free, PATIENCE);
  }

  /** Pods of the backup that were gone are made again; theirs take from their own peers, and not from who has their ids. */
  async #oldOwnersAlone(intruder: Probe): Promise<void> {
    const floods: Flood[] = [];
    const addresses = await waitFor('the server of the backup to have addresses', () => this.#leased('old', 'server'), {
      ...PATIENCE,
      everyMs: 20,
    });
    for (const address of addresses) floods.push(await intruder.flood(address, PORTS.open));
    const server = await this.#peers.probe('minion2', 'server', 'old');
    await listenAt(server, [PORTS.open]);
    await waitFor('the peer of the backup to have addresses', () => this.#leased('old', 'in'), PATIENCE);
    const own = await this.#peers.probe('minion2', 'in', 'old');
    for (const address of addresses) {
      const reaches = async (): Promise<boolean> => (await own.udp(address, PORTS.open)) === 'open';
      await waitFor(`${address} to answer its peer`, reaches, PATIENCE);
    }
    await this.#cluster.ready('old/server', PATIENCE.timeoutMs);
    for (const flood of floods) await flood.stop();
    const heard = await server.received('udp', PORTS.open);
    assert.deepEqual(new Set(heard.keys()), new Set(this.#leased('old', 'in')));
  }

  #leased(namespace: string, pod: string): readonly string[] | undefined {
    const lease = leasesAt(this.#cluster.node('minion2')).find((one) => one.namespace === namespace && one.pod === pod);
    return lease?.addresses;
  }

  /** Policies, isolation and pods are those of the backup; what was allowed only since then is cut. */
  async #asInBackup(connections: readonly Connection[]): Promise<void> {
    const reach = async (pod: string, port: number, expected: boolean): Promise<void> => {
      for (const address of await this.#cluster.addressesOf(pod)) {
        const holds = async (): Promise<boolean> =>
          ((await this.#peers.client.udp(address, port)) === 'open') === expected;
        await waitFor(`${pod} to be ${expected ? 'open' : 'closed'} at ${address}`, holds, PATIENCE);
      }
    };
    await reach(`${this.#peers.namespace}/server`, LATER.taken, true);
    await reach('open/server', PORTS.open, true);
    await reach(`${this.#peers.namespace}/server`, LATER.given, false);
    await reach('shut/server', PORTS.open, false);
    for (const connection of connections) assert.equal(await connection.exchange(), false);
    await this.#cluster.ready(`${this.#peers.namespace}/victim`, PATIENCE.timeoutMs);
  }

  /** Nobody gets an id by which something lives on that the backup does not know. */
  async #idsOnce(since: Since): Promise<void> {
    await applyAll(
      this.#cluster,
      allow(this.#peers.namespace, 'from-other', { segment: 'other' }, LATER.other),
      bystander(this.#peers.namespace, 'other', 'minion2', { segment: 'other' }),
      isolatedNamespace('newest'),
      bystander('newest', 'pod', 'minion2', { segment: 'a' }),
    );
    for (const pod of ['newcomer/pod', 'newest/pod', `${this.#peers.namespace}/other`])
      await this.#cluster.ready(pod, PATIENCE.timeoutMs);
    const [newcomer, newest, other] = [
      await this.#bits('newcomer/pod'),
      await this.#bits('newest/pod'),
      await this.#bits(`${this.#peers.namespace}/other`),
    ];
    const tenants = new Set([newest, since.bits.heir, since.bits.lost].map(({ tenant }) => tenant));
    assert.equal(tenants.size, 3);
    assert.ok(newcomer.pool || !tenants.has(newcomer.tenant), JSON.stringify(newcomer));
    assert.notDeepEqual(other, since.bits.fresh);

    const floods: Flood[] = [];
    const addresses = await this.#peers.addresses();
    for (const address of addresses) floods.push(await since.fresh.flood(address, LATER.other));
    const sender = await this.#peers.probe('minion2', 'other');
    for (const address of addresses) {
      const reaches = async (): Promise<boolean> => (await sender.udp(address, LATER.other)) === 'open';
      await waitFor(`${address} to answer the new segment`, reaches, PATIENCE);
    }
    for (const flood of floods) await flood.stop();
    const heard = await this.#peers.server.received('udp', LATER.other);
    const others = await this.#cluster.addressesOf(`${this.#peers.namespace}/other`);
    assert.deepEqual(new Set(heard.keys()), new Set(others));
  }
}
