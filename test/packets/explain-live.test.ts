import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { explainCommand, type ExplainArguments, type Explanation } from '../../src/cli/policy/explain.ts';
import { agreementText, liveLines, type LiveTrace } from '../../src/cli/policy/live.ts';
import { runCommand, type Ran } from '../../src/cli/policy/test-run.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { CLUSTER_NETWORK_POLICIES, NETWORK_POLICIES, POLICY_TRACES } from '../../src/objects/resources.ts';
import { Rig } from '../support/rig.ts';
import type { RigPod } from '../support/rig-pod.ts';

const OWN = { from: 'a/web', to: 'a/db' };
const BEGUN = Date.now();
/** Who waits in vain does so four times as fast. */
const IMPATIENT = { ...systemClock, now: () => BEGUN + (Date.now() - BEGUN) * 4 };

void describe('romana policy explain --live', () => {
  let rig: Rig;
  before(async () => {
    rig = await Rig.start();
    await rig.namespace('a');
    await rig.api.client.create(NETWORK_POLICIES, policy('db', [{ port: 80 }]), 'a');
    await rig.api.client.create(CLUSTER_NETWORK_POLICIES, noMetrics());
  });
  afterEach(() => rig.clear());
  after(() => rig[Symbol.asyncDispose]());

  async function pods(dbHost: number): Promise<[web: RigPod, db: RigPod]> {
    const made = await Promise.all([
      rig.pod({ namespace: 'a', name: 'web', labels: { app: 'web' } }),
      rig.pod({ namespace: 'a', name: 'db', labels: { app: 'db' }, host: dbHost }),
    ]);
    await rig.settled();
    return made;
  }

  async function explain(
    args: Partial<ExplainArguments>,
    { client = rig.api.client, clock = systemClock }: { client?: KubeClient; clock?: Clock } = {},
  ): Promise<Ran> {
    const all = { files: [], ...OWN, port: 'TCP/80', live: true, output: 'text', ...args } as const;
    return runCommand((deps) => explainCommand(all, deps), { client, clock });
  }

  async function json(
    args: Partial<ExplainArguments>,
    more?: Parameters<typeof explain>[1],
  ): Promise<[number, Explanation]> {
    const { status, stdout, stderr } = await explain({ ...args, output: 'json' }, more);
    assert.equal(stderr, '');
    return [status, JSON.parse(stdout) as Explanation];
  }

  for (const [where, dbHost] of [
    ['two hosts', 1],
    ['one host', 0],
  ] as const) {
    void test(`says which rule of which host does it, and that the kernel agrees, on ${where}`, async () => {
      const [web, db] = await pods(dbHost);
      const host = `host${dbHost + 1}`;
      const nobody = ['host1', 'allow', true, 'ClusterNetworkPolicy no-metrics'];

      const [allowed, yes] = await json({});
      assert.equal(await rig.reach(web, db, 'tcp', 80), 'open');
      assert.deepEqual([allowed, yes.verdict, yes.live?.agrees], [0, 'allow', true]);
      assert.deepEqual(brief(yes.live?.egress), both(nobody));
      assert.deepEqual(brief(yes.live?.ingress), both([host, 'allow', true, 'a/db']));
      const [trace] = yes.live?.ingress ?? [];
      assert.match(trace?.rule ?? '', /^ip saddr .* return$/);
      assert.deepEqual([trace?.from, trace?.to], [web.address(4), db.address(4)]);
      assert.deepEqual(trace?.path?.slice(-2), ['forward', trace?.chain]);

      const [denied, no] = await json({ port: 'TCP/81' });
      assert.equal(await rig.reach(web, db, 'tcp', 81), 'dropped');
      assert.deepEqual([denied, no.live?.agrees], [1, true]);
      assert.deepEqual(brief(no.live?.egress), both(nobody));
      assert.deepEqual(brief(no.live?.ingress), both([host, 'deny', true, 'a/db']));

      // The cluster policy denies before it leaves, and the other direction is judged all the same.
      const [forbidden, never] = await json({ port: 'TCP/9100' });
      assert.deepEqual([forbidden, never.live?.agrees], [1, true]);
      const rule = 'ClusterNetworkPolicy no-metrics spec.egress[0] metrics';
      assert.deepEqual(brief(never.live?.egress), both(['host1', 'deny', true, rule]));
      assert.deepEqual(brief(never.live?.ingress), both([host, 'deny', true, 'a/db']));
      assert.deepEqual((await rig.api.client.list(POLICY_TRACES)).items, []);
    });
  }

  void test('speaks to people of chain, handle, rule and agreement', async () => {
    const [web, db] = await pods(1);
    const { status, stdout } = await explain({ port: 'TCP/9100' });
    assert.equal(status, 1);
    const text = stdout
      .replaceAll(/handle \d+/g, 'handle N')
      .replaceAll(/chain eg-[\w-]+/g, 'chain eg-CHAIN')
      .replace(/peers-\w+/, 'peers-N');
    assert.equal(
      text.split('\n').slice(1, 4).join('\n'),
      [
        '  egress of a/web: denied by ClusterNetworkPolicy no-metrics spec.egress[0].to[0] in the Admin tier',
        `    host host1, ${web.address(4)} to ${db.address(4)}: denied by rule 1 of chain eg-CHAIN (handle N, of ClusterNetworkPolicy no-metrics spec.egress[0] metrics)`,
        '      ip daddr & 255.255.0.0 == @hosts4 ip daddr != @exceptions4 ip daddr & 255.0.240.0 == @peers-N-tenants-4 tcp dport 9100 goto denied-egress comment "ClusterNetworkPolicy no-metrics spec.egress[0] metrics"',
      ].join('\n'),
    );
    assert.match(text, /\nthe kernel agrees\n/);
  });

  void test('asks also about hosts, addresses outside, ping and the pod itself', async () => {
    await pods(1);
    for (const [args, verdicts] of [
      [{ to: 'host:host1', port: 'TCP/22' }, [['allow', 'allow'], []]],
      [{ to: 'host:host2', port: 'TCP/9100' }, [['deny', 'deny'], []]],
      [{ to: '203.0.113.7', port: 'ICMP' }, [['allow'], []]],
      [{ from: '203.0.113.7', port: 'TCP/80' }, [[], ['allow']]],
      [{ from: 'host:host2' }, [[], ['allow', 'allow']]],
      [{ from: 'host:host1', port: 'UDP/81' }, [[], ['deny', 'deny']]],
      [
        { to: 'a/web' },
        [
          ['allow', 'allow'],
          ['allow', 'allow'],
        ],
      ],
      [{ from: 'host:host1', to: 'host:host2' }, [[], []]],
      // Nobody has it, which is closed, and its host has no way to it.
      [{ to: '10.1.16.99' }, [['allow'], ['deny']]],
    ] as const) {
      const [, { live }] = await json(args);
      const found = [live?.egress, live?.ingress].map((traces = []) => traces.map(({ verdict }) => verdict));
      assert.deepEqual([found, live?.agrees], [verdicts, true], JSON.stringify([args, live]));
    }
  });

  void test('R23: a host that is not asked is sent nothing', async () => {
    await pods(1);
    const sent = async (host: number): Promise<number> => {
      const metrics = await rig.host(host).metrics();
      const about = [...metrics].filter(([name]) =>
        /watch_bytes_total\{.*policytraces.*(ADDED|MODIFIED|DELETED)/.test(name),
      );
      return about.reduce((total, [, bytes]) => total + bytes, 0);
    };
    const before = await Promise.all([0, 1].map(sent));
    const [, { live }] = await json({ to: '203.0.113.7' });
    assert.deepEqual([live?.egress.length, live?.ingress.length], [1, 0]);
    await rig.settled();
    const now = await Promise.all([0, 1].map(sent));
    assert.deepEqual(
      now.map((bytes, n) => bytes > (before[n] ?? 0)),
      [true, false],
    );
  });

  void test('is loud when a kernel does otherwise: status 3', async () => {
    await pods(1);
    // Of this policy no agent has heard.
    const { client } = rig.api;
    const unheard = (await client.list(NETWORK_POLICIES)).items.concat({ ...policy('web', []), spec: shut() });
    const lying = new Proxy(client, {
      get: (target, name) => {
        if (name === 'list') {
          return async (...args: Parameters<KubeClient['list']>) => {
            const list = await target.list(...args);
            return args[0] === NETWORK_POLICIES ? { ...list, items: unheard } : list;
          };
        }
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
    const [status, { live }] = await json({}, { client: lying });
    assert.deepEqual([status, live?.agrees], [3, false]);
    assert.deepEqual(
      live?.egress.map(({ agrees }) => agrees),
      [false, false],
    );
    assert.ok(live !== undefined);
    assert.ok(liveLines(live.egress).includes('THE KERNEL DIFFERS from what policy says'));
    assert.match(agreementText(live), /^THE KERNEL DOES NOT AGREE: /);
  });

  void test('says of a host that does not answer how long it has been silent: status 3', async () => {
    await pods(1);
    const far = rig.host(1);
    await far.stopAgent('SIGKILL');
    try {
      const [status, { live }] = await json({}, { clock: IMPATIENT });
      assert.deepEqual(
        [status, live?.agrees, live?.egress.map(({ verdict }) => verdict)],
        [3, null, ['allow', 'allow']],
      );
      for (const { verdict, message } of live?.ingress ?? []) {
        assert.equal(verdict, 'no answer');
        assert.match(message, /^no answer within 5 s; its agent reported last \d+ s ago$/);
      }
      assert.equal(live?.ingress.length, 2);
    } finally {
      await far.startAgent(rig.api.kubeconfig);
      await rig.settled();
    }
    // What was asked of it meanwhile is gone.
    await waitFor(
      'the questions to be gone',
      async () => (await rig.api.client.list(POLICY_TRACES)).items.length === 0,
    );
  });
});

function policy(app: string, ports: readonly object[]): object {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: app, namespace: 'a' },
    spec: { podSelector: { matchLabels: { app } }, ingress: [{ ports, from: [{ podSelector: {} }, ANYBODY] }] },
  };
}

const brief = (traces: readonly LiveTrace[] = []): unknown =>
  traces.map(({ host, verdict, agrees, comment = '' }) => [host, verdict, agrees, comment]);

/** Of both families. */
const both = <T>(one: T): readonly T[] => [one, one];

const ANYBODY = { ipBlock: { cidr: '203.0.113.0/24' } };

function shut(): object {
  return { podSelector: { matchLabels: { app: 'web' } }, policyTypes: ['Egress'] };
}

function noMetrics(): object {
  const egress = [
    {
      name: 'metrics',
      action: 'Deny',
      to: [{ namespaces: {} }, { nodes: {} }],
      protocols: [{ tcp: { destinationPort: { number: 9100 } } }],
    },
  ];
  return {
    apiVersion: 'policy.networking.k8s.io/v1alpha2',
    kind: 'ClusterNetworkPolicy',
    metadata: { name: 'no-metrics' },
    spec: { tier: 'Admin', priority: 1, subject: { namespaces: {} }, egress },
  };
}
