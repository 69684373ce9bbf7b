import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { evaluate, type Port } from './evaluate.ts';
import type { Policy, Rule } from './model.ts';
import type { PodParty } from './party.ts';
import { demo, namespace, pod, podsIn, podsWhere, policy, world } from './test-world.ts';

const NAMESPACES = ['x', 'y'] as const;
const ns = fc.constantFrom(...NAMESPACES);
const labels = fc.record(
  { segment: fc.constantFrom('', 'default', 'a'), app: fc.constantFrom('u', 'v') },
  { requiredKeys: [] },
);
const party = fc
  .record({ ns, name: fc.constantFrom('p', 'q', 'r'), labels, node: fc.constantFrom('m', 'n') })
  .map((p): PodParty => pod(`${p.ns}/${p.name}`, p.labels, { node: p.node }));
const ports = fc.array(fc.record({ port: fc.constantFrom(80, 81), protocol: fc.constantFrom('TCP', 'UDP') }), {
  maxLength: 2,
});
const allow = fc.record(
  { toPorts: ports, from: fc.array(fc.record({ pods: labels }), { maxLength: 2 }) },
  { requiredKeys: [] },
);
const demoPolicy = fc
  .record({ ns, name: fc.constantFrom('p1', 'p2'), podSelector: labels, allow })
  .map((p) => demo(`${p.ns}/${p.name}`, p.podSelector, p.allow));
const demoPolicies = fc.array(demoPolicy, { maxLength: 5 });
const isolation = fc.tuple(fc.boolean(), fc.boolean());
const port: fc.Arbitrary<Port> = fc.oneof(
  fc.record({ protocol: fc.constantFrom('TCP' as const, 'UDP' as const), port: fc.constantFrom(80, 81) }),
  fc.constant({ protocol: 'ICMP' as const }),
);
const connection = fc.tuple(party, party, port);

function accepts(list: readonly Rule[]): readonly Rule[] {
  return list.map((one) => ({ ...one, action: 'Accept' }));
}

function has(party: PodParty, wanted: object): boolean {
  return Object.entries(wanted).every(([key, value]) => party.labels.get(key) === value);
}

const selection = fc.oneof(
  fc
    .record({
      names: fc.subarray([...NAMESPACES]),
      pods: fc.constantFrom('', 'segment=a', 'app=u', '!segment', 'app!=v'),
    })
    .map((s) => podsIn(s.names, s.pods)),
  fc.constantFrom('', 'segment', 'app in (u,w)').map((text) => podsWhere('', text)),
);
const rule = fc.record({
  action: fc.constantFrom('Accept' as const, 'Deny' as const, 'Pass' as const),
  peers: fc.oneof(
    fc.constant('any' as const),
    fc.array(
      selection.map((s) => ({ kind: 'pods' as const, selection: s })),
      { maxLength: 2 },
    ),
  ),
  ports: fc.oneof(
    fc.constant('any' as const),
    fc.constant([{ protocol: 'TCP' as const, ports: { from: 80, to: 80 } }]),
  ),
  field: fc.constant('f'),
});
const rules: fc.Arbitrary<Rule[]> = fc.array(rule, { maxLength: 3 });
const clusterPolicy: fc.Arbitrary<Policy> = fc
  .record({
    source: fc.constantFrom('admin' as const, 'baseline' as const),
    name: fc.string({ minLength: 1, maxLength: 8 }),
    priority: fc.nat(3),
    subject: selection,
    ingress: rules,
    egress: rules,
  })
  .map(({ source, name, ...more }) => policy(source, name.replaceAll('/', '-'), more));
const v1Policy: fc.Arbitrary<Policy> = fc
  .record({
    ns,
    podLabels: fc.constantFrom('', 'segment=a', 'app=u'),
    isolates: fc.record({ ingress: fc.boolean(), egress: fc.boolean() }),
    ingress: rules,
    egress: rules,
  })
  .map(({ ns: name, podLabels, isolates, ingress, egress }) => {
    const subject = podsIn([name], podLabels);
    return policy('v1', `${name}/v1`, { subject, isolates, ingress: accepts(ingress), egress: accepts(egress) });
  });
const anyPolicies = fc.uniqueArray(fc.oneof(demoPolicy, clusterPolicy, v1Policy), {
  maxLength: 6,
  selector: (p) => `${p.source} ${p.ref.namespace}/${p.ref.name}`,
});

function spaces([x, y]: readonly [boolean, boolean]): ReturnType<typeof namespace>[] {
  return [namespace('x', x), namespace('y', y)];
}

test('evaluate: demo policies alone isolate nothing', () => {
  fc.assert(
    fc.property(demoPolicies, connection, (policies, [from, to, p]) => {
      assert.equal(evaluate(world(spaces([false, false]), policies), from, to, p).verdict, 'allow');
    }),
  );
});

test('evaluate: adding a demo policy never closes, taking isolation away never closes', () => {
  fc.assert(
    fc.property(anyPolicies, demoPolicy, isolation, connection, (policies, more, isolated, [from, to, p]) => {
      if (evaluate(world(spaces(isolated), policies), from, to, p).verdict === 'deny') return;
      assert.equal(evaluate(world(spaces(isolated), [...policies, more]), from, to, p).verdict, 'allow');
      assert.equal(evaluate(world(spaces([false, false]), policies), from, to, p).verdict, 'allow');
    }),
  );
});

test('evaluate: the order of policies does not matter', () => {
  fc.assert(
    fc.property(anyPolicies, isolation, connection, (policies, isolated, [from, to, p]) => {
      const forwards = evaluate(world(spaces(isolated), policies), from, to, p);
      const backwards = evaluate(world(spaces(isolated), policies.toReversed()), from, to, p);
      assert.deepEqual(
        [backwards.egress.verdict, backwards.ingress.verdict],
        [forwards.egress.verdict, forwards.ingress.verdict],
      );
    }),
  );
});

test('R27: evaluate: two pods on one host are judged like two pods on two hosts', () => {
  fc.assert(
    fc.property(anyPolicies, isolation, connection, (policies, isolated, [from, to, p]) => {
      const w = world(spaces(isolated), policies);
      const together = evaluate(w, { ...from, node: 'm' }, { ...to, node: 'm' }, p);
      assert.deepEqual(evaluate(w, { ...from, node: 'm' }, { ...to, node: 'n' }, p), together);
    }),
  );
});

test('R30: evaluate: policies of one namespace say nothing of pods of another', () => {
  fc.assert(
    fc.property(demoPolicies, isolation, connection, (policies, isolated, [from, to, p]) => {
      const own = policies.filter((one) => one.ref.namespace === to.namespace);
      assert.deepEqual(
        evaluate(world(spaces(isolated), policies), from, to, p),
        evaluate(world(spaces(isolated), own), from, to, p),
      );
    }),
  );
});

test('evaluate of demo policies says what the founding page says, told in another way', () => {
  const demoCase = fc.record({ ns, podSelector: labels, allow });
  fc.assert(
    fc.property(fc.array(demoCase, { maxLength: 4 }), isolation, connection, (cases, isolated, [from, to, p]) => {
      const opened = cases.some(
        (c) =>
          c.ns === to.namespace &&
          has(to, c.podSelector) &&
          (c.allow.from?.some((peer) => from.namespace === c.ns && has(from, peer.pods)) ?? true) &&
          (c.allow.toPorts?.some((q) => p.protocol === q.protocol && p.port === q.port) ?? true),
      );
      const itself = from.namespace === to.namespace && from.name === to.name;
      const wanted = itself || opened || !isolated[to.namespace === 'x' ? 0 : 1] ? 'allow' : 'deny';
      const policies = cases.map((c, i) => demo(`${c.ns}/p${i}`, c.podSelector, c.allow));
      assert.equal(evaluate(world(spaces(isolated), policies), from, to, p).verdict, wanted);
    }),
    { numRuns: 1000 },
  );
});

test('evaluate of a peer of which only the segment is known allows only what it allows however the peer turns out', () => {
  fc.assert(
    fc.property(anyPolicies, isolation, connection, (policies, isolated, [from, to, p]) => {
      const w = world(spaces(isolated), policies);
      const segment = [...from.labels].filter(([key]) => key === 'segment');
      const partly: PodParty = { ...from, name: '', labels: new Map(segment), known: 'segment' };
      if (evaluate(w, partly, to, p).ingress.verdict === 'deny') return;
      assert.equal(evaluate(w, from, to, p).ingress.verdict, 'allow');
    }),
    { numRuns: 1000 },
  );
});

test('evaluate of what is quite unknown allows only what it would allow to every pod', () => {
  const address = '10.1.33.3' as PodParty['addresses'][number];
  fc.assert(
    fc.property(anyPolicies, isolation, connection, (policies, isolated, [from, to, p]) => {
      const w = world(spaces(isolated), policies);
      if (evaluate(w, { kind: 'unknown', address }, to, p).ingress.verdict === 'allow') {
        assert.equal(evaluate(w, { ...from, addresses: [address] }, to, p).ingress.verdict, 'allow');
      }
      if (evaluate(w, from, { kind: 'unknown', address }, p).egress.verdict === 'allow') {
        assert.equal(evaluate(w, from, { ...to, addresses: [address] }, p).egress.verdict, 'allow');
      }
    }),
    { numRuns: 1000 },
  );
});
