import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, before, suite, test } from 'node:test';
import { waitFor } from '../../src/lib/wait-for.ts';
import type { ProxyMode } from '../../src/local/kubernetes/networking.ts';
import { programsFolder } from '../../src/local/kubernetes/programs.ts';
import { objectsAt, textAt } from '../../src/local/kube-json.ts';
import { PODS, POLICY_TRACES } from '../../src/objects/resources.ts';
import { KubeCluster, NO_KUBERNETES } from './kube-cluster.ts';
import { explainLive } from './kube-live.ts';
import { Outside } from './kube-outside.ts';
import { at, clientPod, get, HTTP_PORT, knock, seenFrom, serverPod, UDP_PORT, withoutPort } from './kube-pods.ts';
import { rateFalls, rateOf } from './kube-rate.ts';

const NS = 'traffic';
/** Of the servers on the nodes' own network. */
const NODE_PORTS = { http: 28_080, udp: 28_081 };
const HOST_PORT = 30_088;
const ISOLATION = 'net.alpha.kubernetes.io/network-isolation';

const service = (name: string, spec: object): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { namespace: NS, name },
  spec: { selector: { app: 'server' }, ipFamilyPolicy: 'PreferDualStack', ports: [HTTP], ...spec },
});
const POL1 = {
  apiVersion: 'demo.romana.io/v1',
  kind: 'NetworkPolicy',
  metadata: { namespace: NS, name: 'pol1' },
  spec: {
    podSelector: { segment: 'backend' },
    allowIncoming: { toPorts: [{ port: HTTP_PORT, protocol: 'TCP' }], from: [{ pods: { segment: 'frontend' } }] },
  },
};
const HTTP = { name: 'http', port: 80, targetPort: HTTP_PORT };

/** A pod a kind of probe: each is Ready only while its kubelet gets through to it. */
const probed = (name: string, node: string, probe: object): object =>
  serverPod({
    namespace: NS,
    name,
    node,
    container: { readinessProbe: { ...probe, periodSeconds: 1, failureThreshold: 1 } },
  });

/** What pods, nodes, Services and outsiders can do with each other, beside kube-proxy in one of its modes. */
export function kubeTraffic(proxy: ProxyMode): void {
  suite(`traffic of a real Kubernetes beside kube-proxy in mode ${proxy}`, { skip: NO_KUBERNETES }, () => {
    let cluster: KubeCluster;
    let outside: Outside;
    /** By name, IPv4 first. */
    const addresses = new Map<string, readonly string[]>();
    const noServices = proxy === 'none' ? 'nothing translates Services there' : false;

    const of = (name: string): readonly string[] => addresses.get(name) ?? assert.fail(`no addresses of ${name}`);
    const nodeAddresses = (name: string): readonly string[] => cluster.node(name).layout.addresses;
    const seen = (from: string, address: string, port: number): Promise<string> =>
      seenFrom(cluster, `${NS}/${from}`, at(address, port));
    const clusterIps = async (name: string): Promise<readonly string[]> => {
      const json = await cluster.get('v1', 'Service', name, NS);
      return (json as { spec: { clusterIPs: string[] } }).spec.clusterIPs.toSorted(byFamily);
    };

    before(async () => {
      cluster = await KubeCluster.up({ minions: 2, proxy });
      outside = await Outside.start(cluster);
      await cluster.apply(
        { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NS } },
        serverPod({
          namespace: NS,
          name: 'server',
          node: 'minion1',
          labels: { app: 'server', segment: 'backend' },
          container: { ports: [{ containerPort: HTTP_PORT, hostPort: HOST_PORT }] },
        }),
        clientPod({ namespace: NS, name: 'near', node: 'minion1', labels: { segment: 'frontend' } }),
        clientPod({ namespace: NS, name: 'far', node: 'minion2' }),
        ...['minion1', 'minion2'].map((node) =>
          serverPod({ namespace: NS, name: `on-${node}`, node, spec: { hostNetwork: true } }, NODE_PORTS),
        ),
        service('plain', {}),
        service('open', { type: 'NodePort', ports: [{ ...HTTP, nodePort: 31_080 }] }),
        service('local', { type: 'NodePort', externalTrafficPolicy: 'Local', ports: [{ ...HTTP, nodePort: 31_081 }] }),
        service('headless', { clusterIP: 'None' }),
      );
      for (const name of ['server', 'near', 'far', 'on-minion1', 'on-minion2']) {
        await cluster.ready(`${NS}/${name}`);
        addresses.set(name, await cluster.addressesOf(`${NS}/${name}`));
      }
    });
    after(async () => {
      outside[Symbol.dispose]();
      await cluster[Symbol.asyncDispose]();
    });

    test('pods see each other by their own addresses, on a node and across', () =>
      families(async (n) => {
        for (const from of ['near', 'far']) {
          assert.equal(await seen(from, of('server')[n] ?? '', HTTP_PORT), of(from)[n]);
        }
        const script = `echo hostname | nc -u -w 2 ${of('server')[n]} ${UDP_PORT}`;
        const { stdout } = await cluster.exec(`${NS}/far`, 'bash', '-c', script);
        assert.equal(stdout.trim(), 'server');
      }));

    test('pods reach nodes as themselves, and nodes reach pods', () =>
      families(async (n) => {
        for (const node of ['minion1', 'minion2']) {
          for (const from of ['near', 'far']) {
            assert.equal(await seen(from, nodeAddresses(node)[n] ?? '', NODE_PORTS.http), of(from)[n]);
          }
          const url = `http://${at(of('server')[n] ?? '', HTTP_PORT)}/clientip`;
          const said = await cluster.node(node).run('curl', '-sS', '-m', '5', url);
          assert.equal(withoutPort(said), nodeAddresses(node)[n]);
        }
      }));

    test('pods reach outside by the addresses of their nodes', () =>
      families(async (n) => {
        assert.equal(await seen('near', outside.addresses[n] ?? '', outside.port), nodeAddresses('minion1')[n]);
        assert.equal(await seen('far', outside.addresses[n] ?? '', outside.port), nodeAddresses('minion2')[n]);
      }));

    test('R20: a pod reaches itself', () =>
      families(async (n) => assert.equal(await seen('server', of('server')[n] ?? '', HTTP_PORT), of('server')[n])));

    test('R20: a pod reaches itself through its own Service, as its node', { skip: noServices }, async () => {
      const ips = await clusterIps('plain');
      await families(async (n) => assert.equal(await seen('server', ips[n] ?? '', 80), nodeAddresses('minion1')[n]));
    });

    test('a ClusterIP shows its pods who asks', { skip: noServices }, async () => {
      const ips = await clusterIps('plain');
      await families(async (n) => {
        for (const from of ['near', 'far']) assert.equal(await seen(from, ips[n] ?? '', 80), of(from)[n]);
        const said = await cluster
          .node('minion2')
          .run('curl', '-sS', '-m', '5', `http://${at(ips[n] ?? '', 80)}/clientip`);
        assert.equal(withoutPort(said), nodeAddresses('minion2')[n]);
      });
    });

    test('a NodePort answers on every node, from pods and from outside', { skip: noServices }, () =>
      families(async (n) => {
        for (const node of ['minion1', 'minion2', 'master']) {
          const door = at(nodeAddresses(node)[n] ?? '', 31_080);
          assert.equal(await get(cluster, `${NS}/near`, door, '/hostname'), 'server');
          assert.equal(await get(cluster, `${NS}/far`, door, '/hostname'), 'server');
          assert.equal(await outside.get(door, '/hostname'), 'server');
        }
      }),
    );

    test(
      'a NodePort of externalTrafficPolicy Local shows who asks, on the node of its pod only',
      { skip: noServices },
      () =>
        families(async (n) => {
          const [here = '', elsewhere = ''] = ['minion1', 'minion2'].map((node) => nodeAddresses(node)[n] ?? '');
          assert.equal(withoutPort(await outside.get(at(here, 31_081))), outside.addresses[n]);
          await assert.rejects(outside.run('curl', '-sS', '-m', '1', `http://${at(elsewhere, 31_081)}/`));
        }),
    );

    test('a hostPort leads to its pod from outside, who is shown', () =>
      families(async (n) => {
        const door = at(nodeAddresses('minion1')[n] ?? '', HOST_PORT);
        assert.equal(withoutPort(await outside.get(door)), outside.addresses[n]);
        assert.equal(await seen('far', nodeAddresses('minion1')[n] ?? '', HOST_PORT), of('far')[n]);
      }));

    // The plugin that bounds it is chained after ours in each mode alike.
    test(
      'annotations bound what a pod receives and sends',
      { skip: proxy !== 'none' && 'once is enough' },
      async () => {
        const limited = Object.fromEntries(
          ['ingress', 'egress'].map((way) => [`kubernetes.io/${way}-bandwidth`, '40M']),
        );
        const pods = Object.entries({ bound: limited, free: {} }).map(([name, annotations]) =>
          clientPod({ namespace: NS, name, node: 'minion1', annotations, container: { command: ['iperf3', '-s'] } }),
        );
        await cluster.apply(...pods);
        for (const name of ['bound', 'free']) await cluster.ready(`${NS}/${name}`);
        const [bound = [], free = []] = await Promise.all(
          ['bound', 'free'].map((name) => cluster.addressesOf(`${NS}/${name}`)),
        );
        for (const reverse of [false, true]) {
          for (const to of bound) await rateFalls(cluster, { from: `${NS}/far`, to, reverse }, 48e6);
          const unbound = await rateOf(cluster, { from: `${NS}/far`, to: free[0] ?? '', reverse });
          assert.ok(unbound > 96e6, `${unbound} bit/s`);
        }
      },
    );

    test('names of Services and of pods of a StatefulSet lead where they should', { skip: noServices }, async () => {
      await cluster.apply(service('set', { clusterIP: 'None', selector: { app: 'set' } }), {
        apiVersion: 'apps/v1',
        kind: 'StatefulSet',
        metadata: { namespace: NS, name: 'set' },
        spec: {
          serviceName: 'set',
          selector: { matchLabels: { app: 'set' } },
          template: {
            metadata: { labels: { app: 'set', segment: 'first' } },
            spec: (serverPod({ namespace: NS, name: 'set' }) as { spec: object }).spec,
          },
        },
      });
      await waitFor('the pod of the set', () => cluster.ready(`${NS}/set-0`).catch(() => undefined), {
        timeoutMs: 60_000,
      });
      const [old] = await cluster.addressesOf(`${NS}/set-0`);
      assert.equal(await get(cluster, `${NS}/far`, 'plain:80', '/hostname'), 'server');
      assert.equal(await get(cluster, `${NS}/far`, `headless:${HTTP_PORT}`, '/hostname'), 'server');
      const byName = (): Promise<string> => get(cluster, `${NS}/far`, `set-0.set.${NS}:${HTTP_PORT}`, '/hostname');
      await waitFor('its name', async () => (await byName()) === 'set-0', { timeoutMs: 20_000, everyMs: 200 });

      // The pod comes back under its old name, in another segment.
      const uid = textAt(await cluster.client.get(PODS, 'set-0', NS), 'metadata', 'uid');
      const patch = JSON.stringify({ spec: { template: { metadata: { labels: { segment: 'second' } } } } });
      await cluster.kubectl('-n', NS, 'patch', 'statefulset', 'set', '-p', patch);
      const again = async (): Promise<boolean> => {
        const json = await cluster.client.get(PODS, 'set-0', NS);
        if (textAt(json, 'metadata', 'uid') === uid) return false;
        return (await cluster.ready(`${NS}/set-0`)) !== undefined;
      };
      await waitFor('the pod under its old name', again, { timeoutMs: 60_000, everyMs: 200 });
      const [now = ''] = await cluster.addressesOf(`${NS}/set-0`);
      assert.notEqual(now, old);
      const parts = JSON.parse(await cluster.romana('ip', now, '-o', 'json')) as { segmentName?: string };
      assert.equal(parts.segmentName, 'second', JSON.stringify(parts));
      await waitFor('its name', async () => (await byName()) === 'set-0', { timeoutMs: 20_000, everyMs: 200 });
    });

    test("R11: other programs' rules are as they were when an agent has started anew and policy has changed", async () => {
      const others = async (): Promise<string> => {
        const node = cluster.node('minion1');
        const tables = (await node.run('nft', 'list', 'tables')).trim().split('\n');
        const theirs = tables.filter((table) => table !== 'table inet romana');
        const texts = await Promise.all(theirs.map((table) => node.run('nft', '-s', 'list', ...table.split(' '))));
        return texts.join('\n');
      };
      // The kube-proxy of a quiet cluster writes nothing.
      const earlier = await waitFor('quiet', async () => {
        const first = await others();
        return first === (await others()) ? first : undefined;
      });
      if (proxy !== 'none') assert.match(earlier, /kube-/i);
      await cluster.kubectl('annotate', 'namespace', NS, `${ISOLATION}=on`);
      await cluster.kubectl('-n', 'romana-system', 'rollout', 'restart', 'daemonset/romana-agent');
      await cluster.kubectl('-n', 'romana-system', 'rollout', 'status', 'daemonset/romana-agent', '--timeout=120s');
      await cluster.kubectl('annotate', 'namespace', NS, `${ISOLATION}-`);
      assert.equal(await others(), earlier);
    });

    test("R12: the distribution's own nft lists what we write", async () => {
      const listed = await cluster.node('minion1').run('nft', 'list', 'table', 'inet', 'romana');
      assert.match(listed, /^table inet romana \{/);
      const json = JSON.parse(
        await cluster.node('minion1').run('nft', '-j', 'list', 'table', 'inet', 'romana'),
      ) as object;
      assert.ok('nftables' in json);
    });

    isolated();

    /** Last, since the namespace is isolated from here on. */
    function isolated(): void {
      test('R5: kubelet probes of all kinds pass while nothing else does', async () => {
        await cluster.kubectl('annotate', 'namespace', NS, `${ISOLATION}=on`);
        const kinds = {
          'by-http': { httpGet: { path: '/hostname', port: HTTP_PORT } },
          'by-tcp': { tcpSocket: { port: HTTP_PORT } },
        };
        await cluster.apply(
          ...Object.entries(kinds).map(([name, probe]) => probed(name, 'minion1', probe)),
          serverPod({
            namespace: NS,
            name: 'by-grpc',
            node: 'minion2',
            container: {
              args: ['grpc-health-checking'],
              readinessProbe: { grpc: { port: 5_000 }, periodSeconds: 1, failureThreshold: 1 },
            },
          }),
        );
        for (const name of [...Object.keys(kinds), 'by-grpc']) await cluster.ready(`${NS}/${name}`);
        // Those that were there are Ready still.
        await cluster.ready(`${NS}/server`);
      });

      test('R24: what isolation denies is dropped, R6: nodes and pods on their network are no subjects', () =>
        families(async (n) => {
          const control = at(nodeAddresses('minion1')[n] ?? '', NODE_PORTS.http);
          for (const from of ['near', 'far']) {
            const shut = at(of('server')[n] ?? '', HTTP_PORT);
            assert.equal(await knock(cluster, `${NS}/${from}`, shut, control), 'dropped');
          }
          assert.equal(await seen('near', nodeAddresses('minion2')[n] ?? '', NODE_PORTS.http), of('near')[n]);
        }));

      test('R19: a ClusterIP obeys the policy of its pods', { skip: noServices }, async () => {
        const ips = await clusterIps('plain');
        await cluster.apply(POL1);
        await families(async (n) => {
          const door = at(ips[n] ?? '', 80);
          const open = async (): Promise<boolean> => (await seen('near', ips[n] ?? '', 80)) === of('near')[n];
          await waitFor('the policy to open', open);
          const control = at(nodeAddresses('minion1')[n] ?? '', NODE_PORTS.http);
          assert.equal(await knock(cluster, `${NS}/far`, door, control), 'dropped');
        });
      });

      test('romana policy explain --live: nodes say which of their rules decides, and the kernels agree', async () => {
        await cluster.apply(POL1);
        for (const [from, node, verdict] of [
          ['near', 'minion1', 'allow'],
          ['far', 'minion2', 'deny'],
        ] as const) {
          const { status, egress, ingress } = await explainLive(cluster, `${NS}/${from}`, `${NS}/server`, HTTP_PORT);
          assert.equal(status, verdict === 'allow' ? 0 : 1);
          assert.deepEqual(egress, [node, 'allow', true, '']);
          assert.deepEqual(ingress, ['minion1', verdict, true, `${NS}/pol1`]);
        }
        assert.deepEqual((await cluster.client.list(POLICY_TRACES)).items, []);
      });

      test('exec, logs and port-forward work in an isolated namespace', async () => {
        assert.equal((await cluster.exec(`${NS}/near`, 'echo', 'hello')).stdout, 'hello\n');
        assert.match(await cluster.kubectl('-n', NS, 'logs', 'server'), /GET \/clientip/);
        assert.equal(await forwarded(cluster, `${NS}/server`), 'server');
      });

      test('no agent and no controller was refused anything, or failed', async () => {
        const { items } = await cluster.client.list(PODS, { namespace: 'romana-system' });
        for (const item of items) {
          const name = textAt(item, 'metadata', 'name');
          const [status] = objectsAt(item, 'status', 'containerStatuses');
          assert.equal(status?.['restartCount'], 0, `${name} was started again`);
          const log = await cluster.kubectl('-n', 'romana-system', 'logs', name);
          assert.doesNotMatch(log, /forbidden|"level":50/i);
        }
      });
    }
  });
}

/** Runs the same for both families, whose addresses come in the same order everywhere. */
async function families(each: (n: number) => Promise<void>): Promise<void> {
  await Promise.all([0, 1].map(each));
}

function byFamily(a: string, b: string): number {
  return Number(a.includes(':')) - Number(b.includes(':'));
}

/** What a server says of its name through `kubectl port-forward`. */
async function forwarded(cluster: KubeCluster, pod: string): Promise<string> {
  const [namespace = '', name = ''] = pod.split('/');
  const child = spawn(
    `${programsFolder(process.env)}/bin/kubectl`,
    ['--kubeconfig', cluster.kubeconfig, '-n', namespace, 'port-forward', `pod/${name}`, `:${HTTP_PORT}`],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  try {
    const [line] = (await once(createInterface({ input: child.stdout }), 'line', {
      signal: AbortSignal.timeout(20_000),
    })) as [string];
    const port = /127\.0\.0\.1:(\d+)/.exec(line)?.[1] ?? assert.fail(line);
    const answer = await fetch(`http://127.0.0.1:${port}/hostname`, { signal: AbortSignal.timeout(10_000) });
    return await answer.text();
  } finally {
    child.kill();
  }
}
