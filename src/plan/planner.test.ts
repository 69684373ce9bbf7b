import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Address } from '../addr/address.ts';
import type { Namespace } from '../objects/namespace.ts';
import { EVERYTHING, selectorFromLabels } from '../objects/selector.ts';
import type { Policy } from '../policy/model.ts';
import { plan, Planner } from './desired.ts';
import { identityIndex } from './identity.ts';
import { histories } from './random-histories.ts';
import { pol1, snapshotOf } from './snapshot-fixture.ts';
import type { Snapshot } from './snapshot.ts';

test('Planner plans what plan does, whatever it planned before', () => {
  fc.assert(
    fc.property(histories, (history) => {
      const planner = new Planner();
      for (const snapshot of history) {
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
const WEB_POLICY = pol1('tenant-a', WEB, 'web');

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

test('Planner makes no chain anew for peers that come and go in a set of their own', () => {
  const all = snapshotOf({ pods: PODS, watched: [FAR, { ...FAR, name: 'more', endpoint: 4 }], policies: [WEB_POLICY] });
  const planner = new Planner();
  const before = planner.plan({ ...all, peerPods: all.peerPods.slice(0, 1) }).ruleset;
  const { ruleset } = planner.plan(all);
  const chains = [...ruleset.chains].filter(([, { comment }]) => comment === 'tenant-a/web');
  assert.equal(chains.length, 1);
  for (const [name, chain] of chains) assert.equal(chain, before.chains.get(name));
  const peers = [...ruleset.sets].filter(([name]) => name.startsWith('peers-'));
  assert.deepEqual(
    peers.map(([, { elements }]) => elements.size),
    [2, 2],
  );
});

test('Planner has the peers of now in a chain that other pods came to share when they moved', () => {
  const [first, ...others] = PODS;
  assert.ok(first !== undefined);
  const pods = [first, { ...first, name: 'second', endpoint: 5 }, ...others];
  const all = snapshotOf({ pods, watched: [FAR, { ...FAR, name: 'more', endpoint: 4 }], policies: [WEB_POLICY] });
  const admin = (names: readonly string[]): Policy => {
    const requirements = [{ key: 'name', operator: 'In', values: names }] as const;
    const subject = { ...WEB_POLICY.subject, pods: { requirements } };
    const ref = { kind: 'ClusterNetworkPolicy', namespace: '', name: 'p', uid: 'p' };
    const deny = { action: 'Deny', peers: 'any', ports: [{ protocol: 'UDP', ports: 'any' }], field: 'spec' } as const;
    return { ...WEB_POLICY, source: 'admin', ref, subject, ingress: [deny] };
  };
  const named = [...all.localPods].map(([uid, pod]) => {
    const labels = new Map([...pod.meta.labels, ['name', pod.meta.name]]);
    return [uid, { ...pod, meta: { ...pod.meta, labels } }] as const;
  });
  const whole = { ...all, localPods: new Map(named) };
  const planner = new Planner();
  for (const snapshot of [
    { ...whole, peerPods: whole.peerPods.slice(0, 1) },
    { ...whole, policies: [WEB_POLICY, admin(['second'])] },
    { ...whole, policies: [WEB_POLICY, admin(['backend', 'second'])] },
  ]) {
    assert.deepEqual(planner.plan(snapshot).ruleset, plan(snapshot).ruleset);
  }
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
