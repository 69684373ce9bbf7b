import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { waitFor } from '../../src/lib/wait-for.ts';
import { API_SERVER } from '../../src/local/cluster-layout.ts';
import { conditionOf, objectsAt, textAt } from '../../src/local/kube-json.ts';
import { provideImage } from '../../src/local/kubernetes/romana-image.ts';
import { HOSTS, NODES } from '../../src/objects/resources.ts';
import { KubeCluster, NO_KUBERNETES } from '../support/kube-cluster.ts';

const CHECKOUT = new URL('../..', import.meta.url).pathname;
const API_SERVER_URL = `https://${API_SERVER.address}:${API_SERVER.port}`;
const NODE_NAMES = ['master', 'minion1'];
/** Ends when it has been asked to for two seconds. */
const SLOW = `trap 'sleep 2; exit' TERM; while :; do sleep 0.1; done`;

/** Whatever an agent changes on a node; the tables of kube-proxy in its iptables mode are of other families. */
const LOOK = `
  ip -brief link | sort
  ip -4 route show table all | sort
  ip -6 route show table all | sort
  nft list tables inet
  ls /etc/cni/net.d /opt/cni/bin
  if [ -d /run/romana ]; then ls -A /run/romana; fi
  sysctl net.ipv4.ip_forward net.ipv6.conf.all.forwarding net.ipv6.conf.eth0.accept_ra
`;

suite('an installation on a real Kubernetes, and its end', { skip: NO_KUBERNETES }, () => {
  let cluster: KubeCluster;
  let clean: readonly string[];

  before(async () => {
    cluster = await KubeCluster.up({ romana: false });
    const { signal } = new AbortController();
    await cluster.loadImage(await provideImage({ checkout: CHECKOUT, env: process.env, progress() {}, signal }));
    clean = await look();
  });
  after(() => cluster?.[Symbol.asyncDispose]());

  const look = (): Promise<readonly string[]> => Promise.all(NODE_NAMES.map((name) => cluster.node(name).sh(LOOK)));

  /** `romana install ... | kubectl apply -f -` */
  async function install(...words: readonly string[]): Promise<void> {
    const list = JSON.parse(await cluster.romana('install', '-o', 'json', ...words)) as { items: readonly object[] };
    await cluster.apply(...list.items);
    await cluster.kubectl('wait', '--for=condition=Ready', 'nodes', '--all', '--timeout=180s');
  }

  async function runPod(name: string): Promise<void> {
    const container = { name: 'main', image: 'tools', imagePullPolicy: 'IfNotPresent', command: ['bash', '-c', SLOW] };
    await cluster.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default' },
      spec: { containers: [container] },
    });
    await cluster.ready(name);
  }

  const conditions = (): Promise<readonly string[]> =>
    Promise.all(
      NODE_NAMES.map(async (name) => {
        const condition = conditionOf(await cluster.client.get(NODES, name), 'NetworkUnavailable');
        return `${condition?.status} ${condition?.reason}`;
      }),
    );

  test('one call makes nodes Ready that were not, clears NetworkUnavailable, and is repeated without harm', async () => {
    for (const name of NODE_NAMES) {
      const ready = conditionOf(await cluster.client.get(NODES, name), 'Ready');
      assert.notEqual(ready?.status, 'True', name);
    }
    await install('--demo');
    const up = 'False RomanaIsUp';
    await waitFor('the condition of all nodes', async () => (await conditions()).every((text) => text === up), {
      timeoutMs: 60_000,
      everyMs: 200,
    });
    const network = (await cluster.get('romana.io/v1', 'Network', 'default')) as { spec: { reservedCIDRs: string[] } };
    assert.deepEqual(network.spec.reservedCIDRs, ['10.96.0.0/16', 'fd96::/112']);
    assert.ok(await cluster.get('v1', 'Namespace', 'tenant-b'));
    const hosts = async (): Promise<readonly string[]> =>
      (await cluster.client.list(HOSTS)).items.map((host) => textAt(host, 'metadata', 'uid'));
    const hostsBefore = await hosts();
    await install('--mtu', '1400');
    assert.deepEqual(await hosts(), hostsBefore);
  });

  test('what was asked for of the Network later is applied to the one that is there', async () => {
    const network = (await cluster.get('romana.io/v1', 'Network', 'default')) as { spec: { mtu: number } };
    assert.equal(network.spec.mtu, 1400);
    await assert.rejects(
      cluster.romana('install', '--plan', '172.16.0.0/12:4,4,4,8'),
      /plan cannot change while hosts/,
    );
    await assert.rejects(
      cluster.romana('install', '--reserved-cidr', '10.0.0.0/16'),
      /host \S+ has id 0, and its pods/,
    );
  });

  test('agents and controllers are refused nothing', async () => {
    await runPod('p');
    const logs = await cluster.kubectl(
      '-n',
      'romana-system',
      'logs',
      '-l',
      'app.kubernetes.io/name=romana',
      '--tail=-1',
      '--ignore-errors',
    );
    assert.match(logs, /"connects pods"/);
    assert.deepEqual(
      logs.split('\n').filter((line) => /forbidden|denied request/i.test(line)),
      [],
    );
  });

  /** The resources of a group that a ClusterRole lets do something with. */
  const may = async (role: string, group: string, verb: string): Promise<readonly string[]> => {
    const { rules } = (await cluster.get('rbac.authorization.k8s.io/v1', 'ClusterRole', role)) as {
      rules: readonly { apiGroups?: readonly string[]; resources?: readonly string[]; verbs: readonly string[] }[];
    };
    const found = rules.filter(({ apiGroups = [], verbs }) => apiGroups.includes(group) && verbs.includes(verb));
    return found.flatMap(({ resources = [] }) => resources);
  };

  test("policies of the demo and Romana's own kinds are in the roles view, edit and admin", async () => {
    for (const role of ['view', 'edit', 'admin']) {
      assert.deepEqual(await may(role, 'demo.romana.io', 'list'), ['networkpolicys'], role);
      assert.ok((await may(role, 'romana.io', 'list')).includes('hosts'), role);
      assert.equal((await may(role, 'demo.romana.io', 'create')).length, role === 'view' ? 0 : 1, role);
      assert.deepEqual(await may(role, 'romana.io', 'create'), role === 'view' ? [] : ['policytraces'], role);
    }
  });

  test('the end is refused while pods have addresses; forced, pods end in order and nodes are as they were', async () => {
    await assert.rejects(
      cluster.romana('uninstall'),
      /pods have addresses of Romana and would lose the network: default\/p/,
    );
    assert.ok(await cluster.get('apps/v1', 'DaemonSet', 'romana-agent', 'romana-system'));
    await cluster.romana('uninstall', '--force', '--timeout', '120');
    // Its sandbox was taken down: the kubelet says so by deleting the pod.
    await assert.rejects(cluster.get('v1', 'Pod', 'p', 'default'), /not found/);
    assert.deepEqual(await look(), clean);
    assert.deepEqual(await conditions(), ['undefined undefined', 'undefined undefined']);
    assert.equal(
      (await cluster.kubectl('get', 'crd,clusterrole,validatingadmissionpolicy', '-o', 'name')).match(/romana/),
      null,
    );
    await assert.rejects(cluster.get('v1', 'Namespace', 'romana-system'), /not found/);
    assert.ok(await cluster.get('v1', 'Namespace', 'tenant-b'), 'what is the users stays');
  });

  test('with --api-server it is installed anew where nothing serves a ClusterIP, and removed without force when no pod is there', async () => {
    for (const name of NODE_NAMES) {
      await cluster.node(name).hold('kube-proxy');
      await cluster.node(name).sh('iptables -t nat -F; ip6tables -t nat -F');
      await assert.rejects(cluster.node(name).run('curl', '-sSk', '-m', '1', 'https://10.96.0.1/readyz'));
    }
    await install('--api-server', API_SERVER_URL);
    await runPod('q');
    assert.ok(objectsAt(await cluster.get('v1', 'Pod', 'q', 'default'), 'status', 'podIPs').length > 0);
    await cluster.kubectl('-n', 'kube-system', 'scale', 'deployment', 'coredns', '--replicas=0');
    await cluster.kubectl('delete', 'pod', 'q', '--wait=true');
    await cluster.kubectl(
      '-n',
      'kube-system',
      'wait',
      '--for=delete',
      'pod',
      '-l',
      'k8s-app=kube-dns',
      '--timeout=60s',
    );
    await cluster.romana('uninstall', '--timeout', '120');
    assert.deepEqual(await look(), clean);
  });

  test('a node that is dead holds up the end only until it is forced, and is left as it is', async () => {
    await install('--api-server', API_SERVER_URL);
    await cluster.node('minion1').powerOff();
    await assert.rejects(
      cluster.romana('uninstall', '--timeout', '5'),
      /these nodes are not done after 5 s: (?:master, )?minion1(?:, master)?; .* --force to leave them/,
    );
    await cluster.romana('uninstall', '--force', '--timeout', '30');
    await assert.rejects(cluster.get('v1', 'Namespace', 'romana-system'), /not found/);
    assert.equal(await cluster.node('master').sh(LOOK), clean[0]);
    assert.equal((await cluster.kubectl('get', 'crd', '-o', 'name')).match(/romana/), null);
  });
});
