import * as fc from 'fast-check';
import type { Pod } from '../objects/pod.ts';
import { worlds } from './random-worlds.ts';
import type { World } from './random-worlds.ts';
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

/** What a step changes. */
const field = fc.constantFrom(
  'policies',
  'policies',
  'peers',
  'seen',
  'leases',
  'tenants',
  'namespaces',
  'hosts',
  'edited',
);

/** Snapshots that follow each other, each of which differs from the last one in a thing or two. */
export const histories: fc.Arbitrary<readonly Snapshot[]> = fc
  .tuple(
    worlds,
    step,
    fc.array(fc.tuple(step, fc.array(field, { minLength: 1, maxLength: 2 })), { minLength: 1, maxLength: 4 }),
  )
  .map(([world, first, later]) => {
    const steps = [first];
    for (const [next, fields] of later) {
      const changed = fields.map((name) => [name, next[name]] as const);
      steps.push({ ...(steps.at(-1) ?? first), ...Object.fromEntries(changed) });
    }
    return history(world, steps);
  });
