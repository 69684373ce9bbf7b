import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, suite, test } from 'node:test';
import { type Address, parseAddress } from '../../src/addr/address.ts';
import { type Cidr, contains } from '../../src/addr/cidr.ts';
import { parseLeaseFile } from '../../src/agent/lease-file.ts';
import { unwrap } from '../../src/lib/result.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { conditionOf, textAt } from '../../src/local/kube-json.ts';
import { type Host, parseHost } from '../../src/objects/host.ts';
import { parsePod, podFinished } from '../../src/objects/pod.ts';
import { claimName, ID_CLAIMS, parseIdClaim } from '../../src/objects/id-claim.ts';
import { HOSTS, NODES, PODS } from '../../src/objects/resources.ts';
import { KubeCluster, NO_KUBERNETES } from '../support/kube-cluster.ts';
import { at, clientPod, get, HTTP_PORT, serverPod } from '../support/kube-pods.ts';
import { podProbe } from '../support/pod-probe.ts';
import type { Probe, Stream } from '../support/probe.ts';

const NS = 'nodes';
/** Of the probes, between the nodes that nothing is done to. */
const STREAM_PORT = 80;
const STATIC_POD = '/etc/kubernetes/manifests/static.json';
/** Pods of a node without power are killed and made again once the node is back. */
const BACK = { timeoutMs: 120_000, everyMs: 200 };

suite('nodes of a real Kubernetes come and go', { skip: NO_KUBERNETES }, () => {
  let cluster: KubeCluster;
  let probes: Probe[] = [];
  let streams: Stream[] = [];
  let hostId = -1;

  before(async () => {
    cluster = await KubeCluster.up({ minions: 2 });
    hostId = (await host('minion1')).id;
    await cluster.apply(
      {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: NS, annotations: { 'net.alpha.kubernetes.io/network-isolation': 'on' } },
      },
      {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'NetworkPolicy',
        metadata: { name: 'open', namespace: NS },
        spec: {
          podSelector: { matchLabels: { segment: 'server' } },
          ingress: [{ from: [{ podSelector: { matchLabels: { segment: 'client' } } }] }],
        },
      },
      clientPod({ namespace: NS, name: 'client', node: 'minion2', labels: { segment: 'client' } }),
      clientPod({ namespace: NS, name: 'server', node: 'master', labels: { segment: 'server' } }),
      clientPod({ namespace: NS, name: 'odd', node: 'minion1', labels: { segment: 'other' } }),
      movable(),
    );
    for (const name of ['client', 'server', 'odd']) await cluster.ready(`${NS}/${name}`);
    const client = await podProbe(cluster.node('minion2'), NS, 'client');
    const server = await podProbe(cluster.node('master'), NS, 'server');
    probes = [client, server];
    await Promise.all([server.listenTcp(STREAM_PORT), server.listenUdp(STREAM_PORT)]);
    for (const address of await cluster.addressesOf(`${NS}/server`)) {
      const answers = async (): Promise<boolean> => (await client.udp(address, STREAM_PORT)) === 'open';
      await waitFor(`${address} to answer`, answers, { timeoutMs: 20_000 });
      streams.push(await client.stream(address, STREAM_PORT, { everyMs: 50 }));
    }
  });
  after(async () => {
    for (const probe of probes) await probe[Symbol.asyncDispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  test('a node that is drained keeps nothing of the pods that leave, and gets them back when it is uncordoned', async () => {
    const first = await waitFor('the pod of the Deployment', movablePod, BACK);
    await cluster.ready(`${NS}/${first}`);
    await cluster.kubectl('drain', 'minion1', '--ignore-daemonsets', '--force', '--timeout=60s');
    await settled('minion1');
    assert.deepEqual(await leased('minion1'), []);
    await cluster.kubectl('uncordon', 'minion1');
    const second = await waitFor('the pod of the Deployment', movablePod, BACK);
    assert.notEqual(second, first);
    await inSegment(second, 'moving');
    await settled('minion1');
  });

  test('a static pod has an address of its segment, and another one when its file names another', async () => {
    for (const segment of ['one', 'two']) {
      writeFileSync(
        cluster.node('minion1').file(STATIC_POD),
        JSON.stringify(clientPod({ namespace: NS, name: 'static', labels: { segment } })),
      );
      // The kubelet may take a minute to tell the API server of its addresses; the agent knows at once.
      const has = async (): Promise<boolean> => allIn(segment, await leased('minion1', 'static-minion1'));
      await waitFor(`the static pod to be in segment ${segment}`, has, BACK);
    }
  });

  test('a node that is removed is no host and its pods are no peers; under its old name it is the old host', async () => {
    await cluster.apply(clientPod({ namespace: NS, name: 'odd', node: 'minion1', labels: { segment: 'other' } }));
    await cluster.ready(`${NS}/odd`);
    // All other nodes know an address by itself whose pod is a peer by its label only.
    await cluster.kubectl('-n', NS, 'label', 'pod', 'odd', '--overwrite', 'segment=client');
    const { ranges } = await host('minion1');
    const others = ['master', 'minion2'];
    const [odd = ''] = await cluster.addressesOf(`${NS}/odd`);
    for (const name of others)
      await waitFor(`${name} to know ${odd}`, async () => (await knownOf(name, ranges)).includes(odd), {
        timeoutMs: 10_000,
      });

    await cluster.node('minion1').powerOff();
    await cluster.kubectl('delete', 'node', 'minion1');
    await waitFor('the Host to go', async () => (await findHost('minion1')) === undefined, { timeoutMs: 30_000 });
    for (const name of others)
      await waitFor(`${name} to forget ${ranges.join()}`, async () => (await knownOf(name, ranges)).length === 0, {
        timeoutMs: 30_000,
      });

    await cluster.node('minion1').powerOn();
    await served();
  });

  test('a node that lost its power runs its pods again, with addresses of their segments', async () => {
    await cluster.node('minion1').powerOff();
    await cluster.node('minion1').powerOn();
    await served();
    await inSegment('static-minion1', 'two');
  });

  test('a machine of the same name with an empty disk is the old host', async () => {
    await cluster.node('minion1').powerOff();
    cluster.node('minion1').replaceDisk();
    await cluster.node('minion1').powerOn();
    await served();
  });

  test('a node that joins under a new name is Ready by Romana alone, and all others follow it and its end', async () => {
    const others = cluster.layout.nodes.map(({ name }) => name);
    const ids = await Promise.all(others.map(async (name) => (await host(name)).id));
    await cluster.nodes('add', 'late');
    const node = await cluster.client.get(NODES, 'late');
    assert.equal(conditionOf(node, 'Ready')?.status, 'True');
    assert.equal(conditionOf(node, 'NetworkUnavailable')?.status, 'False');
    const { id, ranges } = await host('late');
    assert.ok(!ids.includes(id), `${id} of ${ids.join()}`);
    await cluster.apply(
      serverPod({ namespace: NS, name: 'late-server', node: 'late', labels: { segment: 'server' } }),
      clientPod({ namespace: NS, name: 'late-client', node: 'late', labels: { segment: 'client' } }),
    );
    const ways = { client: 'late-server', 'late-client': 'back' };
    for (const [from, to] of Object.entries(ways)) {
      for (const pod of [from, to]) await cluster.ready(`${NS}/${pod}`);
      const addresses = await cluster.addressesOf(`${NS}/${to}`);
      assert.equal(addresses.length, 2);
      for (const address of addresses)
        assert.equal(await get(cluster, `${NS}/${from}`, at(address, HTTP_PORT), '/hostname'), to);
    }
    for (const name of others) assert.notDeepEqual(await knownOf(name, ranges), [], name);

    await cluster.nodes('remove', 'late');
    await waitFor('the Host to go', async () => (await findHost('late')) === undefined, { timeoutMs: 30_000 });
    for (const name of others)
      await waitFor(`${name} to forget ${ranges.join()}`, async () => (await knownOf(name, ranges)).length === 0, {
        timeoutMs: 30_000,
      });
    const claim = unwrap(parseIdClaim(await cluster.client.get(ID_CLAIMS, claimName('Host', id))));
    assert.deepEqual([claim.holder.name, claim.released], ['late', false], 'its id rests');
  });

  test('all the while other nodes lost nothing of their traffic', async () => {
    for (const stream of streams) {
      const { sent, echoed, connects, connected } = await stream.stop();
      assert.deepEqual({ echoed, connected }, { echoed: sent, connected: connects });
      assert.ok(sent > 1_000, `${sent} datagrams`);
    }
  });

  /** minion1 is what it was: the same host, Ready, with the leases of its pods and no others, and pods that others reach. */
  async function served(): Promise<void> {
    const { id } = await waitFor('the Host to be there', () => findHost('minion1'), BACK);
    assert.equal(id, hostId);
    const node = await cluster.client.get(NODES, 'minion1');
    assert.equal(conditionOf(node, 'Ready')?.status, 'True');
    assert.equal(conditionOf(node, 'NetworkUnavailable')?.status, 'False');
    await cluster.apply(serverPod({ namespace: NS, name: 'back', node: 'minion1', labels: { segment: 'server' } }));
    await inSegment('back', 'server');
    await settled('minion1');
    const addresses = await cluster.addressesOf(`${NS}/back`);
    for (const address of addresses)
      assert.equal(await get(cluster, `${NS}/client`, at(address, HTTP_PORT), '/hostname'), 'back');
    assert.equal(addresses.length, 2);
  }

  /** What a node's kernel has of the addresses of another host. */
  async function knownOf(name: string, ranges: readonly Cidr[]): Promise<readonly string[]> {
    const known = addressesIn(await cluster.node(name).sh(EVERYTHING));
    return known.filter((address) => ranges.some((range) => contains(range, address)));
  }

  /** Waits until a pod is Ready with addresses of a segment. */
  async function inSegment(pod: string, segment: string): Promise<void> {
    const there = async (): Promise<boolean> => {
      const json = await cluster.client.get(PODS, pod, NS).catch(() => undefined);
      if (json === undefined || conditionOf(json, 'Ready')?.status !== 'True') return false;
      return allIn(segment, unwrap(parsePod(json)).addresses);
    };
    await waitFor(`${pod} to be Ready in segment ${segment}`, there, BACK);
  }

  /** Whether these are an address of each family, both of a segment. */
  async function allIn(segment: string, addresses: readonly string[]): Promise<boolean> {
    const names = await Promise.all(addresses.map(segmentOf));
    return names.length === 2 && names.every((name) => name === segment);
  }

  async function segmentOf(address: string): Promise<string | undefined> {
    const json = await cluster.romana('ip', address, '-o', 'json');
    return (JSON.parse(json) as { segmentName?: string }).segmentName;
  }

  /** Waits until a node has the leases of its pods' addresses and no others. */
  async function settled(name: string): Promise<void> {
    const said = { addresses: '', leased: '' };
    const equal = async (): Promise<boolean> => {
      said.addresses = (await podAddresses(name)).toSorted().join(' ');
      said.leased = (await leased(name)).toSorted().join(' ');
      return said.addresses === said.leased;
    };
    await waitFor(`${name} to have the leases of its pods`, equal, BACK).catch((error: unknown) =>
      assert.fail(`${String(error)}; pods: ${said.addresses}; leases: ${said.leased}`),
    );
  }

  async function podAddresses(node: string): Promise<readonly string[]> {
    const { items } = await cluster.client.list(PODS, { fieldSelector: `spec.nodeName=${node}` });
    const pods = items.map((item) => unwrap(parsePod(item))).filter((pod) => !pod.hostNetwork && !podFinished(pod));
    return pods.flatMap((pod) => pod.addresses);
  }

  /** The addresses of all leases on a node, or of those of one pod. */
  async function leased(node: string, pod?: string): Promise<readonly string[]> {
    // Each file is a line; one may go while they are read.
    const text = await cluster.node(node).sh('cat /run/romana/leases/*.json 2> /dev/null || true');
    const leases = text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => unwrap(parseLeaseFile(line)).lease);
    return leases.flatMap((lease) => (pod === undefined || lease.pod === pod ? lease.addresses : []));
  }

  async function movablePod(): Promise<string | undefined> {
    const { items } = await cluster.client.list(PODS, { namespace: NS, labelSelector: 'app=movable' });
    const there = items.find((item) => textAt(item, 'metadata', 'deletionTimestamp') === '');
    return there === undefined ? undefined : textAt(there, 'metadata', 'name');
  }

  async function findHost(name: string): Promise<Host | undefined> {
    const { items } = await cluster.client.list(HOSTS);
    return items.map((item) => unwrap(parseHost(item))).find(({ meta }) => meta.name === name);
  }

  async function host(name: string): Promise<Host> {
    return (await findHost(name)) ?? assert.fail(`no Host ${name}`);
  }
});

/** All that a node's kernel knows of other hosts and their pods. */
const EVERYTHING = 'ip route show proto 82; ip -6 route show proto 82; nft -s list table inet romana';

function addressesIn(text: string): readonly Address[] {
  return [...text.matchAll(/[0-9a-f.:]+/g)].flatMap(([word]) => {
    const address = parseAddress(word);
    return address.ok ? [address.value] : [];
  });
}

/** A pod that only minion1 may run, while it takes pods. */
function movable(): object {
  const { spec } = clientPod({
    namespace: NS,
    name: 'movable',
    spec: { tolerations: [], nodeSelector: { 'kubernetes.io/hostname': 'minion1' } },
  }) as { spec: object };
  const labels = { app: 'movable', segment: 'moving' };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { namespace: NS, name: 'movable' },
    spec: { selector: { matchLabels: { app: 'movable' } }, template: { metadata: { labels }, spec } },
  };
}
