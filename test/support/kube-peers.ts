import assert from 'node:assert/strict';
import { parseAddress } from '../../src/addr/address.ts';
import { decode, DEFAULT_PLANS } from '../../src/addr/plan.ts';
import { unwrap } from '../../src/lib/result.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import type { KubeCluster } from './kube-cluster.ts';
import { clientPod } from './kube-pods.ts';
import { podProbe } from './pod-probe.ts';
import type { Probe } from './probe.ts';

/** What the pods of segment `server` take from segment `client`, from pods with the label `role=teller`, and from nobody. */
export const PORTS = { open: 80, told: 81, closed: 82 } as const;

/** A pod with a shell and no credentials. */
export function bystander(
  namespace: string,
  name: string,
  node: string,
  labels: Readonly<Record<string, string>>,
): object {
  return clientPod({ namespace, name, node, labels, spec: { automountServiceAccountToken: false } });
}

/** A namespace that is isolated. */
export function isolatedNamespace(name: string): object {
  const annotations = { 'net.alpha.kubernetes.io/network-isolation': 'on' };
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, annotations } };
}

/** Lets pods with the labels `from` in to the pods of segment `server`, at one port. */
export function allow(namespace: string, name: string, from: object, port: number): object {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { namespace, name },
    spec: {
      podSelector: { matchLabels: { segment: 'server' } },
      ingress: [
        {
          from: [{ podSelector: { matchLabels: from } }],
          ports: ['TCP', 'UDP'].map((protocol) => ({ protocol, port })),
        },
      ],
    },
  };
}

/**
 * Pods of an isolated namespace that talk while something happens to the cluster: on minion1 a client, which a policy
 * names by its segment, and a teller, which one names by another label; on minion2 a server and a victim, both in
 * segment `server`.
 */
export class KubePeers implements AsyncDisposable {
  readonly #cluster: KubeCluster;
  readonly namespace: string;
  readonly #probes: readonly [client: Probe, teller: Probe, server: Probe];
  readonly #more: Probe[] = [];

  private constructor(cluster: KubeCluster, namespace: string, probes: readonly [Probe, Probe, Probe]) {
    this.#cluster = cluster;
    this.namespace = namespace;
    this.#probes = probes;
  }

  /** Makes them, and waits until all that is allowed goes. */
  static async make(cluster: KubeCluster, namespace: string): Promise<KubePeers> {
    const pods = { client: 'minion1', teller: 'minion1', server: 'minion2', victim: 'minion2' };
    await applyAll(
      cluster,
      isolatedNamespace(namespace),
      bystander(namespace, 'client', 'minion1', { segment: 'client' }),
      bystander(namespace, 'teller', 'minion1', { role: 'teller' }),
      bystander(namespace, 'server', 'minion2', { segment: 'server' }),
      bystander(namespace, 'victim', 'minion2', { segment: 'server' }),
      allow(namespace, 'by-segment', { segment: 'client' }, PORTS.open),
      allow(namespace, 'by-label', { role: 'teller' }, PORTS.told),
    );
    for (const pod of Object.keys(pods)) await cluster.ready(`${namespace}/${pod}`);
    const probe = (pod: 'client' | 'teller' | 'server'): Promise<Probe> =>
      podProbe(cluster.node(pods[pod]), namespace, pod);
    const probes = [await probe('client'), await probe('teller'), await probe('server')] as const;
    const peers = new KubePeers(cluster, namespace, probes);
    await listenAt(peers.server, Object.values(PORTS));
    for (const address of await peers.addresses()) {
      for (const [from, port] of [
        [peers.client, PORTS.open],
        [peers.teller, PORTS.told],
      ] as const)
        await waitFor(`${address} to answer`, async () => (await from.udp(address, port)) === 'open');
    }
    return peers;
  }

  get client(): Probe {
    return this.#probes[0];
  }

  get teller(): Probe {
    return this.#probes[1];
  }

  get server(): Probe {
    return this.#probes[2];
  }

  /** The server's. */
  addresses(): Promise<readonly string[]> {
    return this.#cluster.addressesOf(`${this.namespace}/server`);
  }

  /** A probe in any pod, which ends with these. */
  async probe(node: string, pod: string, namespace = this.namespace): Promise<Probe> {
    const probe = await podProbe(this.#cluster.node(node), namespace, pod);
    this.#more.push(probe);
    return probe;
  }

  /**
   * All that is allowed and forbidden towards the server goes on until stopped; then nothing of it was wrong: nothing
   * that is allowed was lost, and nothing that is forbidden arrived.
   */
  async traffic(): Promise<() => Promise<void>> {
    const { client, teller, server } = this;
    const addresses = await this.addresses();
    const tellers = new Set(await this.#cluster.addressesOf(`${this.namespace}/teller`));
    const streams = await Promise.all(
      addresses.flatMap((address) => [client.stream(address, PORTS.open), teller.stream(address, PORTS.told)]),
    );
    const floods = await Promise.all(
      addresses.flatMap((address) => [client.flood(address, PORTS.closed), teller.flood(address, PORTS.open)]),
    );
    return async () => {
      for (const flood of floods) await flood.stop();
      for (const stream of streams) {
        const { sent, echoed, connects, connected } = await stream.stop();
        assert.deepEqual({ echoed, connected }, { echoed: sent, connected: connects });
        assert.ok(sent > 100 && connects > 10, `${sent} datagrams and ${connects} connections`);
      }
      assert.deepEqual(await server.received('udp', PORTS.closed), new Map());
      const heard = [...(await server.received('udp', PORTS.open)).keys()];
      assert.deepEqual(
        heard.filter((from) => tellers.has(from)),
        [],
        'what is open for the client only',
      );
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const probe of [...this.#probes, ...this.#more]) await probe[Symbol.asyncDispose]();
  }
}

/** Has a probe answer at ports, over TCP and UDP. */
export async function listenAt(probe: Probe, ports: readonly number[]): Promise<void> {
  for (const port of ports) await Promise.all([probe.listenTcp(port), probe.listenUdp(port)]);
}

/** Whom an address of the default plans says that it belongs to. */
export interface Bits {
  readonly tenant: number;
  readonly segment: number;
  readonly pool: boolean | undefined;
}

/** Takes an address apart. @throws AssertionError when it is no pod's */
export function bitsOf(address: string): Bits {
  for (const plan of DEFAULT_PLANS) {
    const fields = decode(plan, unwrap(parseAddress(address)));
    if (fields !== undefined) return { tenant: fields.tenant, segment: fields.segment, pool: fields.pool };
  }
  return assert.fail(`no plan has ${address}`);
}

/** Applies objects, some of them in namespaces of their own: pods there can be made a moment after the namespace. */
export async function applyAll(cluster: KubeCluster, ...objects: readonly object[]): Promise<void> {
  await waitFor('objects to be made', () => cluster.apply(...objects).then(() => true), {
    timeoutMs: 60_000,
    everyMs: 200,
  });
}
