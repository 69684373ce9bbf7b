import * as fc from 'fast-check';
import { parseCidr } from '../addr/cidr.ts';
import { unwrap } from '../lib/result.ts';
import { EVERYTHING, selectorFromLabels } from '../objects/selector.ts';
import type { LabelSelector } from '../objects/selector.ts';
import type { Peer, Policy, PodSelection, PortMatch, Rule } from '../policy/model.ts';
import { plan } from './desired.ts';
import { snapshotOf } from './snapshot-fixture.ts';
import type { FixturePod } from './snapshot-fixture.ts';
import type { Snapshot } from './snapshot.ts';

/** A random world, for tests: what host 1 knows of it, and what there is. */
export interface World {
  readonly snapshot: Snapshot;
  readonly pods: readonly FixturePod[];
  readonly policies: readonly Policy[];
}

const NAMESPACES = ['red', 'blue', 'green'] as const;
const SEGMENTS = ['a', 'b', ''] as const;

/** red has bits, blue has bits but no id for segment b, green is in the pool; now and then nothing is known. */
export const TENANTS = {
  red: { id: 1, segments: { a: 1, b: 2, '': 3 } },
  blue: { id: 2, segments: { a: 1, b: 0, '': 4 } },
  green: { id: 0, segments: {} },
};

const labels = fc.record(
  { segment: fc.constantFrom(...SEGMENTS), app: fc.constantFrom('web', 'db') },
  { requiredKeys: [] },
);

const selector: fc.Arbitrary<LabelSelector> = fc.oneof(
  fc.constant(EVERYTHING),
  labels.map((l) => selectorFromLabels(new Map(Object.entries(l)))),
  fc.record({
    requirements: fc.array(
      fc.record({
        key: fc.constantFrom('segment', 'app'),
        operator: fc.constantFrom('In' as const, 'NotIn' as const, 'Exists' as const, 'DoesNotExist' as const),
        values: fc.uniqueArray(fc.constantFrom(...SEGMENTS, 'web'), { minLength: 1, maxLength: 2 }),
      }),
      { minLength: 1, maxLength: 2 },
    ),
  }),
);

const selection: fc.Arbitrary<PodSelection> = fc.record({
  namespaces: fc.oneof(
    fc.constantFrom(...NAMESPACES).map((name) => ({ kind: 'names' as const, names: [name] })),
    fc.constant({ kind: 'selector' as const, selector: EVERYTHING }),
    fc.constantFrom(...NAMESPACES).map((name) => ({
      kind: 'selector' as const,
      selector: selectorFromLabels(new Map([['kubernetes.io/metadata.name', name]])),
    })),
  ),
  pods: selector,
});

const CIDRS = ['10.0.0.0/8', '10.2.17.0/24', '10.1.0.0/16', '192.0.2.0/24', '0.0.0.0/0', 'fd00:10::/64'].map((text) =>
  unwrap(parseCidr(text)),
);

const peer: fc.Arbitrary<Peer> = fc.oneof(
  { weight: 4, arbitrary: selection.map((chosen) => ({ kind: 'pods' as const, selection: chosen })) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('cidrs' as const),
      blocks: fc.array(
        fc.record({
          cidr: fc.constantFrom(...CIDRS),
          except: fc.uniqueArray(fc.constantFrom(...CIDRS.slice(1, 4)), { maxLength: 2 }),
        }),
        { minLength: 1, maxLength: 2 },
      ),
    }),
  },
);

const port: fc.Arbitrary<PortMatch> = fc.record({
  protocol: fc.constantFrom('TCP' as const, 'TCP' as const, 'UDP' as const, 'SCTP' as const),
  ports: fc.oneof(
    fc.constantFrom(80, 81).map((n) => ({ from: n, to: n })),
    fc.constantFrom({ from: 79, to: 80 }, { from: 81, to: 2_000 }, { from: 1, to: 65_535 }),
    fc.constant({ name: 'http' }),
    fc.constant('any' as const),
  ),
});

const rule: fc.Arbitrary<Rule> = fc.record({
  action: fc.constant('Accept' as const),
  peers: fc.oneof(fc.constant('any' as const), fc.array(peer, { maxLength: 3 })),
  ports: fc.oneof(fc.constant('any' as const), fc.array(port, { maxLength: 3 })),
  field: fc.constant('spec'),
});

const policies: fc.Arbitrary<Policy[]> = fc
  .array(
    fc.record({
      source: fc.constantFrom('demo' as const, 'v1' as const),
      subject: selection,
      isolates: fc.record({ ingress: fc.boolean(), egress: fc.boolean() }),
      ingress: fc.array(rule, { maxLength: 2 }),
      egress: fc.array(rule, { maxLength: 2 }),
    }),
    { maxLength: 4 },
  )
  .map((list) =>
    list.map((p, n) => ({
      ...p,
      isolates: p.source === 'demo' ? { ingress: false, egress: false } : p.isolates,
      ref: { kind: 'NetworkPolicy', namespace: 'red', name: `p${n}`, uid: `p${n}` },
      priority: 0,
      problems: [],
    })),
  );

const HTTP = [{ name: 'http', protocol: 'TCP' as const, port: 80 }];

const pods: fc.Arbitrary<FixturePod[]> = fc
  .array(
    fc.record({
      namespace: fc.constantFrom(...NAMESPACES),
      labels,
      /** Whether the label was edited after the address was given, and to what it was before. */
      before: fc.option(fc.constantFrom(...SEGMENTS, null), { freq: 4 }),
      local: fc.boolean(),
      finished: fc.integer({ min: 0, max: 7 }).map((n) => n === 0),
      named: fc.boolean(),
    }),
    { minLength: 2, maxLength: 7 },
  )
  .map((list) =>
    list.map((pod, n): FixturePod => {
      const { before, local, finished, named } = pod;
      const leased = before ?? pod.labels.segment ?? null;
      return {
        namespace: pod.namespace,
        name: `p${n}`,
        labels: pod.labels,
        leased,
        host: local ? 1 : 2,
        endpoint: n + 3,
        pool: pod.namespace === 'green' || (pod.namespace === 'blue' && leased === 'b'),
        more: { ...(finished ? { phase: 'Failed' } : {}), ...(named ? { ports: HTTP } : {}) },
      };
    }),
  );

/** The snapshot of a world in which every watch that the plan asks for shows what it should. */
function converged(fixture: Parameters<typeof snapshotOf>[0]): Snapshot {
  const blind = { ...snapshotOf(fixture), peerPods: [] };
  const all = snapshotOf(fixture).peerPods;
  return plan(blind).peerWatches.length > 0 ? { ...blind, peerPods: all } : blind;
}

/** Worlds of few pods and policies in which everything that the compiler tells apart happens. */
export const worlds: fc.Arbitrary<World> = fc
  .record({
    pods,
    policies,
    isolated: fc.dictionary(fc.constantFrom(...NAMESPACES), fc.boolean(), { maxKeys: 3 }),
    /** Whether the API does not show the first of this host's pods. */
    unseen: fc.boolean(),
  })
  .map(({ pods, policies, isolated, unseen }) => {
    const edited = pods.filter((pod) => pod.host === 2 && pod.more?.phase === undefined && isEdited(pod));
    const snapshot = converged({ tenants: TENANTS, isolated, pods, exceptions: edited, policies });
    const localPods = unseen ? new Map([...snapshot.localPods].slice(1)) : snapshot.localPods;
    return { snapshot: { ...snapshot, localPods }, pods, policies };
  });

function isEdited(pod: FixturePod): boolean {
  return (pod.leased ?? null) !== (pod.labels?.['segment'] ?? null);
}
