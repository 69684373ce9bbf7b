import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test, type TestContext } from 'node:test';
import { waitFor } from '../../src/lib/wait-for.ts';
import type { Connection } from '../support/probe.ts';
import { Rig } from '../support/rig.ts';
import { type Attempt, judge } from '../support/rig-judge.ts';
import { RigPolicies } from '../support/rig-policies.ts';
import type { RigPod } from '../support/rig-pod.ts';

const FAMILIES = [4, 6] as const;
/** After the label was written nothing of the old one's rights may be left (R37), in milliseconds. */
const CONTAINED_MS = 1_000;
/** For an echo that is not expected, in milliseconds. */
const SHORT_MS = 50;
/** The same datagram from one port again is the same connection; there is one port for each receiver. */
const FIRST_SOURCE_PORT = 40_000;

const open = (peer: Record<string, string>, to: Record<string, string> = { segment: 'backend' }): object => ({
  podSelector: to,
  allowIncoming: {
    toPorts: ['TCP', 'UDP'].map((protocol) => ({ port: 80, protocol })),
    from: [{ pods: peer }],
  },
});

const working = (connections: readonly Connection[], timeoutMs: number): Promise<boolean[]> =>
  Promise.all(connections.map((connection) => connection.exchange({ timeoutMs })));

void describe('containment with the controller dead', () => {
  let rig: Rig;
  let policies: RigPolicies;
  before(async () => {
    rig = await Rig.start();
    policies = new RigPolicies(rig);
  });
  afterEach(async () => {
    await policies.clear();
    if (rig.api.controller === undefined) rig.api.startController();
    await rig.clear();
  });
  after(() => rig[Symbol.asyncDispose]());

  /** A server on each host that takes TCP and UDP 80 of `frontend`, and a suspect with that label on each. */
  async function makeTenant(namespace: string): Promise<{ servers: RigPod[]; suspects: RigPod[]; others: RigPod[] }> {
    await rig.namespace(namespace, { isolated: true });
    const both = (name: string, labels: Record<string, string>): Promise<RigPod[]> =>
      Promise.all([0, 1].map((host) => rig.pod({ namespace, name: `${name}${host}`, labels, host })));
    const [servers, suspects, others] = await Promise.all([
      both('server', { segment: 'backend' }),
      both('suspect', { segment: 'frontend', app: 'web' }),
      both('other', { segment: 'frontend', app: 'web' }),
      both('elsewhere', { segment: 'quiet' }),
    ]);
    return { servers, suspects, others };
  }

  /** Edits the labels and waits until nothing passes any more, over new connections and open ones. */
  async function contain(
    t: TestContext,
    { from, to }: { from: readonly RigPod[]; to: readonly RigPod[] },
    edit: () => Promise<unknown>,
  ): Promise<void> {
    const pairs = from.flatMap((one) => to.map((other) => ({ from: one, to: other })));
    const attempts: Attempt[] = pairs.flatMap((pair, n) =>
      FAMILIES.flatMap((family): Attempt[] => [
        { ...pair, family, protocol: 'tcp', port: 80 },
        { ...pair, family, protocol: 'udp', port: 80 },
        { ...pair, family, protocol: 'udp', port: 80, sourcePort: FIRST_SOURCE_PORT + n },
      ]),
    );
    const connections = await Promise.all(
      pairs.flatMap((pair) => FAMILIES.map((family) => pair.from.probe.open(pair.to.address(family), 80))),
    );
    assert.deepEqual(new Set(await judge(attempts)), new Set(['open']), 'before');
    assert.deepEqual(new Set(await working(connections, CONTAINED_MS)), new Set([true]), 'before');
    await rig.api.stopController();
    await edit();
    const start = performance.now();
    let within = 0;
    await waitFor(
      'nothing to pass any more',
      async () => {
        const asked = performance.now();
        const [outcomes, alive] = await Promise.all([judge(attempts), working(connections, SHORT_MS)]);
        within = asked - start;
        return outcomes.every((outcome) => outcome === 'dropped') && !alive.includes(true);
      },
      { timeoutMs: 2 * CONTAINED_MS },
    );
    t.diagnostic(`contained after less than ${Math.round(within)} ms`);
    assert.ok(within <= CONTAINED_MS, `contained after ${within} ms`);
    await Promise.all(connections.map((connection) => connection.close()));
  }

  // Another segment of the namespace, one that nobody has given an id, and none at all.
  for (const [what, segment] of [
    ['known', 'quiet'],
    ['new', 'quarantine'],
    ['no', null],
  ] as const) {
    void test(`R37: a pod whose segment label is edited to a ${what} segment loses the old one's rights everywhere within 1 s`, async (t) => {
      const namespace = `r37-${what}`;
      const { servers, suspects, others } = await makeTenant(namespace);
      await rig.policy(namespace, 'pol1', open({ segment: 'frontend' }));
      await rig.settled();
      await contain(t, { from: suspects, to: servers }, () =>
        Promise.all(suspects.map((pod) => pod.label({ segment }))),
      );
      await assertUntouched(others, servers);
    });
  }

  for (const [kind, label] of [
    ['v1', 'segment'],
    ['v1', 'app'],
    ['cluster', 'segment'],
    ['cluster', 'app'],
  ] as const) {
    void test(`R37: a pod whose ${label} label is edited loses the rights that a ${kind} policy gave it everywhere within 1 s`, async (t) => {
      const namespace = `r37-${kind}-${label}`;
      const { servers, suspects, others } = await makeTenant(namespace);
      const [was, is] = label === 'segment' ? ['frontend', 'quiet'] : ['web', 'quarantine'];
      const named = { matchLabels: { 'kubernetes.io/metadata.name': namespace } };
      const [peer, subject] = [{ matchLabels: { [label]: was } }, { matchLabels: { segment: 'backend' } }];
      if (kind === 'v1')
        await policies.v1(namespace, 'p', { podSelector: subject, ingress: [{ from: [{ podSelector: peer }] }] });
      else {
        await rig.isolate(namespace, 'off');
        await policies.cluster('p', {
          subject: { pods: { namespaceSelector: named, podSelector: subject } },
          ingress: [
            { action: 'Accept', from: [{ pods: { namespaceSelector: named, podSelector: peer } }] },
            { action: 'Deny', from: [{ namespaces: {} }] },
          ],
        });
      }
      await rig.settled();
      await contain(t, { from: suspects, to: servers }, () =>
        Promise.all(suspects.map((pod) => pod.label({ [label]: is }))),
      );
      await assertUntouched(others, servers);
    });
  }

  void test("R37: a pod whose label that no address holds is edited loses the old one's rights everywhere within 1 s", async (t) => {
    const { servers, suspects, others } = await makeTenant('r37-label');
    await rig.policy('r37-label', 'pol1', open({ app: 'web' }));
    await rig.settled();
    await contain(t, { from: suspects, to: servers }, () =>
      Promise.all(suspects.map((pod) => pod.label({ app: 'quarantine' }))),
    );
    await assertUntouched(others, servers);
  });

  void test('R37: a pod whose segment label is edited is not reached any more as one of the old segment within 1 s', async (t) => {
    const { suspects, others } = await makeTenant('r37-server');
    await rig.policy('r37-server', 'pol1', open({ segment: 'frontend' }, { segment: 'frontend' }));
    await rig.settled();
    await contain(t, { from: others, to: suspects }, () =>
      Promise.all(suspects.map((pod) => pod.label({ segment: 'quarantine' }))),
    );
    const [one, two] = others;
    assert.ok(one !== undefined && two !== undefined);
    await assertUntouched([one], [two]);
  });

  /** Those who were not meant go on. */
  async function assertUntouched(from: readonly RigPod[], to: readonly RigPod[]): Promise<void> {
    for (const sender of from) {
      for (const server of to) assert.equal(await rig.reach(sender, server, 'tcp', 80), 'open');
    }
  }
});
