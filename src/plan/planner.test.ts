import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Address } from '../addr/address.ts';
import type { Namespace } from '../objects/namespace.ts';
import type { Pod } from '../objects/pod.ts';
import { EVERYTHING, selectorFromLabels } from '../objects/selector.ts';
import type { Policy } from '../policy/model.ts';
import { plan, Planner } from './desired.ts';
import { identityIndex } from './identity.ts';
import { worlds } from './random-worlds.ts';
import type { World } from './random-worlds.ts';
import { pol1, snapshotOf } from './snapshot-fixture.ts';
import type { Snapshot } from './snapshot.ts';

/** What of a world a snapshot shows, by bits: of lists the items that are there, of pods those whose labels were edited. */
const step = fc.record({
  policies: fc.nat({ max: 31 }),
  peers: fc.nat({ max: 127 }),
  leases: fc.nat({ max: 127 }),
  seen: fc.nat({ max: 127 }),
  tenants: fc.oneof({ weight: 4, arbitrary: fc.constant(7) }, { weight: 1, arbitrary: fc.nat({ max: 7 }) }),
  namespaces: fc.oneof({ weight: 4, arbitrary: fc.constant(7) }, { weight: 1, arbitrary: fc.nat({ max: 7 }) }),
  hosts: fc.oneof({ weight: 4, arbitrary: fc.constant(7) }, { weight: 1, arbitrary: fc.nat({ max: 7 }) }),
  edited: fc.nat({ max: 127 }),
  reversed: fc.boolean(),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Snapshots of one world that have most of their objects in common, as those of an agent have. */
function history({ snapshot }: World, steps: readonly Step[]): readonly Snapshot[] {
  const edits = new Map<Pod, Pod>();
  const edited = (pod: Pod): Pod => {
    const before = edits.get(pod);
    if (before !== undefined) return before;
    const labels = new Map([...pod.meta.labels, ['app', pod.meta.labels.get('app') === 'web' ? 'db' : 'web']]);
    const after = { ...pod, meta: { ...pod.meta, labels, resourceVersion: '2' } };
    edits.set(pod, after);
    return after;
  };
  return steps.map((s) => {
    const pods = (list: readonly Pod[], mask: number): Pod[] =>
      some(
        list.map((pod, n) => ((s.edited >> n) & 1 ? edited(pod) : pod)),
        mask,
      );
    return {
      ...snapshot,
      policies: s.reversed ? some(snapshot.policies, s.policies).toReversed() : some(snapshot.policies, s.policies),
      peerPods: pods(snapshot.peerPods, s.peers),
      leases: some(snapshot.leases, s.leases),
      localPods: new Map(pods([...snapshot.localPods.values()], s.seen).map((pod) => [pod.meta.uid, pod])),
      tenants: new Map(some([...snapshot.tenants], s.tenants)),
      namespaces: new Map(some([...snapshot.namespaces], s.namespaces)),
      hosts: new Map(some([...snapshot.hosts], s.hosts | 2)),
    };
  });
}

function some<T>(list: readonly T[], mask: number): T[] {
  return list.filter((_, n) => (mask >> n) & 1);
}

test('Planner plans what plan does, whatever it planned before', () => {
  fc.assert(
    fc.property(worlds, fc.array(step, { minLength: 2, maxLength: 5 }), (world, steps) => {
      const planner = new Planner();
      for (const snapshot of history(world, steps)) {
        assert.deepEqual(planner.plan(snapshot), plan(snapshot));
        const [mine, fresh] = [planner.identities(snapshot), identityIndex(snapshot)];
        const addresses = [...snapshot.leases, ...snapshot.peerPods].flatMap((one) => one.addresses);
        for (const address of addresses) assert.deepEqual(mine.partyOf(address), fresh.partyOf(address));
      }
    }),
    { numRuns: 200 },
  );
});

const PODS = ['backend', 'frontend'].map((segment, n) => {
  return { namespace: 'tenant-a', name: segment, labels: { segment }, host: 1, endpoint: n + 3 };
});
const FAR = { namespace: 'tenant-a', name: 'far', labels: { segment: 'frontend', app: 'web' }, host: 2, endpoint: 3 };
const WEB = { podSelector: { segment: 'backend' }, allowIncoming: { from: [{ pods: { app: 'web' } }] } };

test('Planner keeps the sets and chains that a change does not touch', () => {
  const policies = [pol1('tenant-a', WEB, 'web'), pol1('tenant-a', { ...WEB, podSelector: { segment: 'frontend' } })];
  const all = snapshotOf({ pods: PODS, watched: [FAR], policies });
  const planner = new Planner();
  const before = planner.plan(all).ruleset;
  const [edited] = [pol1('tenant-a', { ...WEB, allowIncoming: {} }, 'web')];
  const after = planner.plan({ ...all, policies: [edited, ...policies.slice(1)] }).ruleset;
  const kept = [...after.chains].filter(([name, chain]) => chain === before.chains.get(name)).map(([name]) => name);
  const other = [...after.chains].find(([, { comment }]) => comment === 'tenant-a/pol1')?.[0];
  assert.ok(other !== undefined && kept.includes(other), 'the chain of the policy that was not edited is the same');
  const peers = [...after.sets].filter(([name]) => name.startsWith('peers-'));
  assert.equal(peers.length, 2);
  for (const [name, set] of peers) assert.equal(set, before.sets.get(name));
});

test('Planner takes the later of two views of one pod, whichever watch shows it', () => {
  const all = snapshotOf({ pods: PODS, watched: [FAR], policies: [pol1('tenant-a', WEB)] });
  const [old] = all.peerPods;
  assert.ok(old !== undefined);
  const labels = new Map([...old.meta.labels, ['app', 'db']]);
  const later = { ...old, meta: { ...old.meta, labels, resourceVersion: '10' } };
  const address = old.addresses[0] as Address;
  for (const peerPods of [
    [old, later],
    [later, old],
  ]) {
    const { ruleset } = plan({ ...all, peerPods });
    const named = [...ruleset.sets].filter(([name]) => /^peers-.*-4$/.test(name));
    assert.equal(named.length, 1);
    assert.equal(named[0]?.[1].elements.has(address), false);
  }
});

test('Planner sees namespaces change their labels, and pods of namespaces that nobody knew', () => {
  const team = { kind: 'selector', selector: selectorFromLabels(new Map([['team', 'blue']])) } as const;
  const everywhere = { kind: 'selector', selector: EVERYTHING } as const;
  const web = selectorFromLabels(new Map([['app', 'web']]));
  const rules = [team, everywhere].map((namespaces): Policy => {
    const name = namespaces === team ? 'team' : 'all';
    const peers = [{ kind: 'pods', selection: { namespaces, pods: web } }] as const;
    const ingress = [{ action: 'Accept', peers, ports: 'any', field: 'spec' }] as const;
    return Object.assign(pol1('tenant-a', WEB, name), { ingress });
  });
  const stranger = { ...FAR, namespace: 'nowhere', name: 'stranger', endpoint: 4, pool: true };
  for (const policy of rules) {
    const all = snapshotOf({ pods: PODS, watched: [FAR, stranger], policies: [policy] });
    const [far, other] = all.peerPods;
    const blue = new Map<string, Namespace>();
    for (const [name, namespace] of all.namespaces) {
      const labels = new Map([...namespace.meta.labels, ['team', 'blue']]);
      blue.set(name, { ...namespace, meta: { ...namespace.meta, labels } });
    }
    const planner = new Planner();
    for (const snapshot of [
      { ...all, peerPods: [far] },
      { ...all, peerPods: [far], namespaces: blue },
      { ...all, peerPods: [far, other], namespaces: blue },
      all,
    ] as const) {
      assert.deepEqual(planner.plan(snapshot as Snapshot), plan(snapshot as Snapshot));
    }
  }
});
