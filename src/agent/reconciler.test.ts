import assert from 'node:assert/strict';
import { test } from 'node:test';

import { type Clock, systemClock } from '../lib/clock.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { silentLog } from '../lib/log.ts';
import { waitFor } from '../lib/wait-for.ts';
import { FakeNft } from '../nft/fake-nft.ts';
import { NftError } from '../nft/nft.ts';
import { rulesetText } from '../nft/text.ts';
import { type Desired, plan } from '../plan/desired.ts';
import type { Policy } from '../policy/model.ts';
import type { Snapshot } from '../plan/snapshot.ts';
import { type Fixture, pol1, snapshotOf, TENANTS } from '../plan/snapshot-fixture.ts';
import { AgentMetrics } from './metrics.ts';
import { Reconciler } from './reconciler.ts';

const BACKEND = { namespace: 'tenant-a', name: 'backend', labels: { segment: 'backend' }, host: 1, endpoint: 3 };
const SECOND = { ...BACKEND, name: 'second', endpoint: 4 };
const WORLD: Fixture = { tenants: TENANTS, pods: [BACKEND] };

/** Refuses whatever names port 666, as a kernel may refuse one thing of many. */
class PickyNft extends FakeNft {
  override run(text: string): void {
    refuse(text);
    super.run(text);
  }

  override check(text: string): void {
    refuse(text);
    super.check(text);
  }
}

function refuse(text: string): void {
  if (text.includes('tcp . 666')) throw new NftError(text, 'Error: Numerical result out of range\n');
}

function rig(
  nft: FakeNft = new FakeNft(),
  clock: Clock = systemClock,
): {
  reconciler: Reconciler;
  nft: FakeNft;
  see: (snapshot: Snapshot | undefined) => void;
  revocations: Snapshot[];
  refuse: { routes: unknown[]; revoke: boolean; undecided: boolean };
  repaired: string[];
  seen: Desired[];
} {
  const revocations: Snapshot[] = [];
  const repaired: string[] = [];
  const seen: Desired[] = [];
  const refuse = { routes: [] as unknown[], revoke: false, undecided: false };
  let now: Snapshot | undefined;
  const reconciler = new Reconciler({
    snapshot: () => now,
    nft,
    routes: () => refuse.routes.splice(0),
    revoke: ({ snapshot, patient }) => {
      if (refuse.revoke) {
        refuse.revoke = false;
        throw new Error('conntrack is busy');
      }
      revocations.push(snapshot);
      return patient && refuse.undecided;
    },
    onRepaired: (by) => repaired.push(by),
    onApplied: (_snapshot, desired) => seen.push(desired),
    metrics: new AgentMetrics(),
    clock,
    log: silentLog,
  });
  return { reconciler, nft, see: (snapshot) => (now = snapshot), revocations, refuse, repaired, seen };
}

void test('Reconciler puts the table whole at first, then deltas, and nothing when nothing differs', async () => {
  const { reconciler, nft, see } = rig();
  see(snapshotOf(WORLD));
  await reconciler.commit();
  see(snapshotOf({ ...WORLD, pods: [BACKEND, SECOND] }));
  await reconciler.commit();
  await reconciler.commit();
  assert.equal(nft.transactions.length, 2);
  assert.match(nft.transactions[0] ?? '', /delete table inet romana/);
  assert.doesNotMatch(nft.transactions[1] ?? '', /table inet romana \{/);
  const wanted = plan(snapshotOf({ ...WORLD, pods: [BACKEND, SECOND] })).ruleset;
  assert.equal(nft.list('romana'), rulesetText(wanted));
  await reconciler.stop();
});

void test('Reconciler changes elements alone as such, and everything else as text', async () => {
  const { reconciler, nft, see } = rig();
  see(snapshotOf(WORLD));
  await reconciler.commit();
  see(snapshotOf({ ...WORLD, pods: [BACKEND, SECOND] }));
  await reconciler.commit();
  assert.deepEqual([nft.transactions.length, nft.elementTransactions], [2, 1]);
  see(snapshotOf({ ...WORLD, pods: [BACKEND, SECOND], policies: [pol1('tenant-a')] }));
  await reconciler.commit();
  see(snapshotOf({ ...WORLD, pods: [BACKEND], policies: [pol1('tenant-a')] }));
  await reconciler.commit();
  assert.deepEqual([nft.transactions.length, nft.elementTransactions], [4, 2]);
  assert.equal(
    nft.list('romana'),
    rulesetText(plan(snapshotOf({ ...WORLD, pods: [BACKEND], policies: [pol1('tenant-a')] })).ruleset),
  );
  await reconciler.stop();
});

void test('Reconciler replaces the table whole when somebody else flushed it', async () => {
  const { reconciler, nft, see } = rig();
  see(snapshotOf(WORLD));
  await reconciler.commit();
  nft.run('delete table inet romana');
  see(snapshotOf({ ...WORLD, pods: [BACKEND, SECOND] }));
  await reconciler.commit();
  assert.equal(nft.list('romana'), rulesetText(plan(snapshotOf({ ...WORLD, pods: [BACKEND, SECOND] })).ruleset));
  await reconciler.stop();
});

void test('Reconciler refuses to commit while too little is known, and leaves the kernel as it is', async () => {
  const { reconciler, nft, see } = rig();
  see(undefined);
  await assert.rejects(reconciler.commit(), /not enough of the cluster is known/);
  see(snapshotOf(WORLD));
  await reconciler.commit();
  see(undefined);
  await assert.rejects(reconciler.commit(), /the kernel stays as it is/);
  assert.equal(nft.transactions.length, 1);
  await reconciler.stop();
});

void test('Reconciler looks through connections when a verdict may have turned, not when pods come', async () => {
  const { reconciler, see, revocations } = rig();
  see(snapshotOf(WORLD));
  await reconciler.commit();
  assert.equal(revocations.length, 1, 'at the start, for what changed while no agent ran');
  see(snapshotOf({ ...WORLD, pods: [BACKEND, SECOND] }));
  await reconciler.commit();
  assert.equal(revocations.length, 1);
  see(snapshotOf({ ...WORLD, pods: [BACKEND, SECOND], policies: [pol1('tenant-a')] }));
  await reconciler.commit();
  assert.equal(revocations.length, 2);
  see(snapshotOf({ ...WORLD, pods: [BACKEND, SECOND], isolated: { 'tenant-a': false, 'tenant-b': true } }));
  await reconciler.commit();
  assert.equal(revocations.length, 3);
  await reconciler.stop();
});

void test('Reconciler tries a revocation again that failed, although the rules are in force already', async () => {
  const { reconciler, see, revocations, refuse } = rig();
  refuse.revoke = true;
  see(snapshotOf(WORLD));
  await assert.rejects(reconciler.commit(), /conntrack is busy/);
  await reconciler.settled();
  assert.equal(revocations.length, 1);
  await reconciler.stop();
});

void test('Reconciler looks again at connections that are undecided, and is patient no longer than 300 ms', async () => {
  const clock = new FakeClock();
  const { reconciler, see, revocations, refuse } = rig(new FakeNft(), clock);
  refuse.undecided = true;
  see(snapshotOf(WORLD));
  await reconciler.commit();
  assert.equal(revocations.length, 1);
  await clock.advance(100);
  await reconciler.commit();
  assert.equal(revocations.length, 2, 'whatever is heard');
  await clock.advance(199);
  await reconciler.settled();
  assert.equal(revocations.length, 2);
  await clock.advance(1);
  await reconciler.settled();
  assert.equal(revocations.length, 3, 'when the time is over');
  await clock.advance(1_000);
  await reconciler.commit();
  assert.equal(revocations.length, 3, 'and then no more');
  await reconciler.stop();
});

void test('Reconciler commits rules although a route is refused, and tries the route again', async () => {
  const { reconciler, see, refuse, nft } = rig();
  refuse.routes.push(new Error('no such next hop'));
  see(snapshotOf(WORLD));
  await reconciler.commit();
  assert.equal(nft.transactions.length, 1);
  assert.equal(reconciler.idle, false);
  await waitFor('the route to be set', () => reconciler.idle);
  assert.equal(refuse.routes.length, 0);
  await reconciler.stop();
});

void test('Reconciler puts back a table that others changed as it was left, even when little is known then', async () => {
  const { reconciler, nft, see, repaired, revocations } = rig();
  reconciler.tableChanged('nft');
  see(snapshotOf(WORLD));
  await reconciler.commit();
  assert.deepEqual([nft.transactions.length, repaired], [1, []], 'the first run replaces whatever is there');
  nft.run('delete table inet romana');
  see(undefined);
  reconciler.tableChanged('nft');
  await reconciler.settled();
  const whole = rulesetText(plan(snapshotOf(WORLD)).ruleset);
  assert.equal(nft.list('romana'), whole);
  assert.deepEqual(repaired, ['nft']);
  assert.equal(revocations.length, 1);
  see(snapshotOf(WORLD));
  await reconciler.commit();
  assert.equal(revocations.length, 2, 'connections of the time in between are judged');
  nft.run('delete table inet romana');
  reconciler.tableChanged(undefined);
  await reconciler.settled();
  assert.equal(nft.list('romana'), whole);
  assert.deepEqual(repaired, ['nft'], 'nobody is named for what may not have been');
  const count = nft.transactions.length;
  reconciler.tableChanged(undefined);
  await reconciler.settled();
  assert.equal(nft.transactions.length, count, 'putting it may be what was too much to hear');
  nft.run('delete table inet romana');
  reconciler.tableChanged('nft');
  await reconciler.settled();
  assert.equal(nft.list('romana'), whole);
  await reconciler.stop();
});

/** Opens a port of one segment to everybody. */
const opens = (segment: string, port: number, name: string): Policy =>
  pol1('tenant-a', { podSelector: { segment }, allowIncoming: { toPorts: [{ port, protocol: 'TCP' }] } }, name);

void test('R14: Reconciler closes what the kernel refuses for its own pods alone, until it is changed', async () => {
  const { reconciler, nft, see, seen } = rig(new PickyNft());
  const frontend = { ...SECOND, labels: { segment: 'frontend' } };
  const world = { ...WORLD, pods: [BACKEND, frontend] };
  const good = Array.from({ length: 9 }, (_, n) => opens('frontend', 80 + n, `good${n}`));
  see(snapshotOf({ ...world, policies: [...good, opens('backend', 666, 'bad')] }));
  await reconciler.commit();
  const portsOf = (name: string): string =>
    nft.list('romana').split(`comment "tenant-a/${name}`)[1]?.split('}')[0] ?? '';
  assert.match(portsOf('bad'), /^"\n\t\tgoto denied-ingress\n\t$/, 'nothing is open');
  assert.match(portsOf('good0'), /@in-\w+-ports return/);
  const refused = seen.at(-1)?.unenforced ?? [];
  assert.deepEqual(
    refused.map(({ ref, problems }) => `${ref.name}: ${problems[0]?.message}`),
    ['bad: is refused by the kernel: Error: Numerical result out of range'],
  );
  see(snapshotOf({ ...world, policies: [...good, opens('backend', 667, 'bad')] }));
  await reconciler.commit();
  assert.match(portsOf('bad'), /return/);
  assert.deepEqual(seen.at(-1)?.unenforced, []);
  await reconciler.stop();
});

void test('R14: Reconciler blames no policy for what is refused without any, and changes nothing', async () => {
  class Broken extends FakeNft {
    override run(text: string): void {
      throw new NftError(text, 'Error: Operation not permitted\n');
    }
    override check(text: string): void {
      this.run(text);
    }
  }
  const { reconciler, see, seen } = rig(new Broken());
  see(snapshotOf({ ...WORLD, policies: [opens('backend', 80, 'good')] }));
  await assert.rejects(reconciler.commit(), /Operation not permitted/);
  assert.deepEqual(seen, []);
  await reconciler.stop();
});
