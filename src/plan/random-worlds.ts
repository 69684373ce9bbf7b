import * as fc from 'fast-check';
import { parseCidr } from '../addr/cidr.ts';
import { unwrap } from '../lib/result.ts';
import type { Pod } from '../objects/pod.ts';
import { EVERYTHING, matches, parseSelectorText, selectorFromLabels } from '../objects/selector.ts';
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
  /** Whether all is known that can be: of all local pods, of all namespaces and of what the plan asks to watch. */
  readonly complete: boolean;
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

/** Mostly all pods of somewhere, so that policies meet each other. */
const subject: fc.Arbitrary<PodSelection> = fc.oneof(
  { weight: 3, arbitrary: selection.map(({ namespaces }) => ({ namespaces, pods: EVERYTHING })) },
  { weight: 2, arbitrary: selection },
);

const CIDRS = ['10.0.0.0/8', '10.2.17.0/24', '10.1.0.0/16', '192.0.2.0/24', '0.0.0.0/0', 'fd00:10::/64'].map((text) =>
  unwrap(parseCidr(text)),
);

const nodes: fc.Arbitrary<Peer> = fc.constantFrom('0', '1', '2').map((rack) => ({
  kind: 'nodes' as const,
  selector: selectorFromLabels(new Map(rack === '0' ? [] : [['rack', rack]])),
}));

const peer: fc.Arbitrary<Peer> = fc.oneof(
  { weight: 1, arbitrary: nodes },
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

const ruleOf = (actions: readonly Rule['action'][]): fc.Arbitrary<Rule> =>
  fc.record({
    action: fc.constantFrom(...actions),
    peers: fc.oneof(fc.constant('any' as const), fc.array(peer, { maxLength: 3 })),
    ports: fc.oneof(fc.constant('any' as const), fc.array(port, { maxLength: 3 })),
    field: fc.constant('spec'),
  });

const opening = fc.array(ruleOf(['Accept']), { maxLength: 2 });
const NOT_ISOLATING = { ingress: false, egress: false };

const namespaced = fc.record({
  source: fc.constantFrom('demo' as const, 'v1' as const),
  subject,
  isolates: fc.record({ ingress: fc.boolean(), egress: fc.boolean() }),
  ingress: opening,
  egress: opening,
  priority: fc.constant(0),
});

const deciding = fc.array(ruleOf(['Accept', 'Deny', 'Deny', 'Pass']), { maxLength: 3 });

const clustered = fc.record({
  source: fc.constantFrom('admin' as const, 'baseline' as const),
  subject,
  isolates: fc.constant(NOT_ISOLATING),
  ingress: deciding,
  egress: deciding,
  // Few, so that names decide as well.
  priority: fc.nat({ max: 2 }),
});

const policies: fc.Arbitrary<Policy[]> = fc
  .array(fc.oneof({ weight: 3, arbitrary: namespaced }, { weight: 2, arbitrary: clustered }), {
    minLength: 1,
    maxLength: 5,
  })
  .map((list) =>
    list.map((p, n): Policy => {
      const cluster = p.source === 'admin' || p.source === 'baseline';
      const kind = cluster ? 'ClusterNetworkPolicy' : 'NetworkPolicy';
      return {
        ...p,
        isolates: p.source === 'demo' ? NOT_ISOLATING : p.isolates,
        ref: { kind, namespace: cluster ? '' : 'red', name: `p${n}`, uid: `p${n}` },
        problems: [],
      };
    }),
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

/** The snapshot of a world in which the watches that the plan asks for show what they should, and nothing else does. */
function converged(fixture: Parameters<typeof snapshotOf>[0]): Snapshot {
  const all = snapshotOf(fixture);
  const blind = { ...all, peerPods: [] };
  const watches = plan(blind).peerWatches.map(({ namespace, selector }) => ({
    namespace,
    labels: selector === '' ? EVERYTHING : unwrap(parseSelectorText(selector)),
  }));
  const isShown = ({ meta }: Pod): boolean =>
    watches.some((w) => ['', meta.namespace].includes(w.namespace) && matches(w.labels, meta.labels));
  return { ...blind, peerPods: all.peerPods.filter(isShown) };
}

/** Worlds of few pods and policies in which everything that the compiler tells apart happens. */
export const worlds: fc.Arbitrary<World> = fc
  .record({
    pods,
    policies,
    isolated: fc.oneof(
      { weight: 3, arbitrary: fc.record({ red: fc.boolean(), blue: fc.boolean(), green: fc.boolean() }) },
      { weight: 1, arbitrary: fc.dictionary(fc.constantFrom(...NAMESPACES), fc.boolean(), { maxKeys: 3 }) },
    ),
    /** Whether the API does not show the first of this host's pods. */
    unseen: fc.nat({ max: 3 }).map((n) => n === 3),
    /** Whether the watches on peers have shown nothing yet. */
    blind: fc.nat({ max: 3 }).map((n) => n === 3),
  })
  .map(({ pods, policies, isolated, unseen, blind }) => {
    const edited = pods.filter((pod) => pod.host === 2 && pod.more?.phase === undefined && isEdited(pod));
    const snapshot = converged({ tenants: TENANTS, isolated, pods, exceptions: edited, policies });
    const localPods = unseen ? new Map([...snapshot.localPods].slice(1)) : snapshot.localPods;
    const peerPods = blind ? [] : snapshot.peerPods;
    const complete = !unseen && !blind && NAMESPACES.every((name) => name in isolated);
    return { snapshot: { ...snapshot, localPods, peerPods }, pods, policies, complete };
  });

function isEdited(pod: FixturePod): boolean {
  return (pod.leased ?? null) !== (pod.labels?.['segment'] ?? null);
}
