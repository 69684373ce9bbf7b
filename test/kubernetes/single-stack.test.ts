import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { type Family, familyOf, parseAddress } from '../../src/addr/address.ts';
import { DEFAULT_PLANS, formatPlan } from '../../src/addr/plan.ts';
import { unwrap } from '../../src/lib/result.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { conditionOf, textAt } from '../../src/local/kube-json.ts';
import { NODES } from '../../src/objects/resources.ts';
import { check, outcome, romana, wrong } from '../support/kube-check.ts';
import { KubeCluster, NO_KUBERNETES } from '../support/kube-cluster.ts';
import { Outside } from '../support/kube-outside.ts';
import { at, clientPod, get, HTTP_PORT, knock, seenFrom, serverPod } from '../support/kube-pods.ts';

const NS = 'single';
const NODE_PORTS = { http: 28_080, udp: 28_081 };

for (const family of [4, 6] as const) {
  suite(`a real Kubernetes with IPv${family} only`, { skip: NO_KUBERNETES }, () => {
    let cluster: KubeCluster;
    let outside: Outside;
    const addresses = new Map<string, string>();
    const of = (name: string): string => addresses.get(name) ?? assert.fail(`no address of ${name}`);
    const nodeAddress = (name: string): string => only(cluster.node(name).layout.addresses, family);
    const seen = (from: string, address: string, port: number): Promise<string> =>
      seenFrom(cluster, `${NS}/${from}`, at(address, port));

    before(async () => {
      const plans = DEFAULT_PLANS.filter((plan) => plan.family === family).map(formatPlan);
      cluster = await KubeCluster.up({ minions: 1, plans });
      outside = await Outside.start(cluster);
      await cluster.apply(
        { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NS } },
        serverPod({ namespace: NS, name: 'server', node: 'minion1', labels: { app: 'server' } }),
        clientPod({ namespace: NS, name: 'near', node: 'minion1' }),
        clientPod({ namespace: NS, name: 'far', node: 'master' }),
        serverPod({ namespace: NS, name: 'on-minion1', node: 'minion1', spec: { hostNetwork: true } }, NODE_PORTS),
        {
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { namespace: NS, name: 'plain' },
          spec: { selector: { app: 'server' }, ports: [{ port: 80, targetPort: HTTP_PORT }] },
        },
      );
      for (const name of ['server', 'near', 'far', 'on-minion1']) {
        await cluster.ready(`${NS}/${name}`);
        const [address = '', ...more] = await cluster.addressesOf(`${NS}/${name}`);
        assert.deepEqual([familyOf(unwrap(parseAddress(address))), more], [family, []], `addresses of ${name}`);
        addresses.set(name, address);
      }
    });
    after(async () => {
      outside?.[Symbol.dispose]();
      await cluster?.[Symbol.asyncDispose]();
    });

    test('all nodes are Ready, and their network is there', async () => {
      for (const name of ['master', 'minion1']) {
        const node = await cluster.client.get(NODES, name);
        assert.equal(conditionOf(node, 'Ready')?.status, 'True');
        assert.equal(conditionOf(node, 'NetworkUnavailable')?.status, 'False');
      }
    });

    test('pods reach pods on a node and across, nodes, Services and names, and outside as their nodes', async () => {
      const clusterIp = textAt(await cluster.get('v1', 'Service', 'plain', NS), 'spec', 'clusterIP');
      const homes = { near: 'minion1', far: 'master' };
      for (const [from, home] of Object.entries(homes)) {
        assert.equal(await seen(from, of('server'), HTTP_PORT), of(from));
        assert.equal(await seen(from, nodeAddress('minion1'), NODE_PORTS.http), of(from));
        assert.equal(await seen(from, only(outside.addresses, family), outside.port), nodeAddress(home));
        const byService = async (): Promise<boolean> => (await seen(from, clusterIp, 80)) === of(from);
        await waitFor('the Service to answer', byService, { timeoutMs: 30_000, everyMs: 200 });
        const byName = async (): Promise<boolean> =>
          (await get(cluster, `${NS}/${from}`, 'plain:80', '/hostname')) === 'server';
        await waitFor('the name to lead there', byName, { timeoutMs: 30_000, everyMs: 200 });
      }
    });

    test('romana check and romana demo are as expected, and know of no other family', async () => {
      const { report, status } = await check(cluster);
      assert.deepEqual([wrong(report), status], [[], 0]);
      assert.ok(report.rows.every((row) => row.family === null || row.family === family));
      const demo = await romana(cluster, 'demo');
      assert.equal(demo.status, 0, demo.stderr + outcome(demo.stdout));
      assert.match(demo.stdout, /All 22 were as expected\.\n$/);
    });

    test('isolation drops what it denies', async () => {
      await cluster.kubectl('annotate', 'namespace', NS, 'net.alpha.kubernetes.io/network-isolation=on');
      const shut = at(of('server'), HTTP_PORT);
      const control = at(nodeAddress('minion1'), NODE_PORTS.http);
      for (const from of ['near', 'far']) {
        const dropped = async (): Promise<boolean> =>
          (await knock(cluster, `${NS}/${from}`, shut, control)) === 'dropped';
        await waitFor('the isolation to take effect', dropped, { timeoutMs: 10_000 });
      }
    });
  });
}

function only(addresses: readonly string[], family: Family): string {
  return addresses.find((text) => familyOf(unwrap(parseAddress(text))) === family) ?? assert.fail('no such address');
}
