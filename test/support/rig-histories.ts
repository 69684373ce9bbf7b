import * as fc from 'fast-check';

/** The namespaces of random worlds. */
export const TENANTS = ['red', 'blue', 'green', 'grey'] as const;
const POLICIES = ['one', 'two'];
/** Places for pods, in turn on the first host and on the second. */
const PLACES = 6;

const labels = fc.record(
  { segment: fc.constantFrom('a', 'b', ''), app: fc.constantFrom('web', 'db') },
  { requiredKeys: [] },
);
const spec = fc.record(
  {
    podSelector: labels,
    allowIncoming: fc.record(
      {
        toPorts: fc.uniqueArray(
          fc.constantFrom({ port: 80, protocol: 'TCP' }, { port: 81, protocol: 'TCP' }, { port: 80, protocol: 'UDP' }),
        ),
        from: fc.array(fc.record({ pods: labels }), { maxLength: 2 }),
      },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: ['podSelector'] },
);
// Most of it in one namespace, where policies have something to choose from.
const namespace = fc.constantFrom('red', 'red', 'red', 'blue', 'blue', 'green', 'grey');
const place = fc.nat({ max: PLACES - 1 });
const policyName = fc.constantFrom(...POLICIES);
const steps = {
  start: fc.record({ do: fc.constant('start' as const), place, namespace, labels }),
  stop: fc.record({ do: fc.constant('stop' as const), place }),
  label: fc.record({ do: fc.constant('label' as const), place, labels }),
  isolate: fc.record({
    do: fc.constant('isolate' as const),
    namespace,
    value: fc.constantFrom('on' as const, 'off' as const),
  }),
  policy: fc.record({ do: fc.constant('policy' as const), namespace, name: policyName, spec }),
  deletePolicy: fc.record({ do: fc.constant('deletePolicy' as const), namespace, name: policyName }),
  restart: fc.record({
    do: fc.constant('restart' as const),
    place,
    signal: fc.constantFrom('SIGTERM' as const, 'SIGKILL' as const),
  }),
};
const step = fc.oneof(
  { weight: 2, arbitrary: steps.start },
  { weight: 1, arbitrary: steps.stop },
  { weight: 3, arbitrary: steps.label },
  { weight: 3, arbitrary: steps.isolate },
  { weight: 4, arbitrary: steps.policy },
  { weight: 1, arbitrary: steps.deletePolicy },
);

const stepOrRestart = fc.oneof({ weight: 20, arbitrary: step }, { weight: 1, arbitrary: steps.restart });

/** One change of a random world. */
export type Step = typeof stepOrRestart extends fc.Arbitrary<infer S> ? S : never;

/** A pod for each place. */
const pods = fc.tuple(
  ...Array.from({ length: PLACES }, (_, n) =>
    steps.start.map(({ namespace, labels }) => ({ do: 'start' as const, place: n, namespace, labels })),
  ),
);

/** Every namespace, most of them isolated. */
const isolation = fc.tuple(
  ...TENANTS.map((name) =>
    fc
      .constantFrom('on' as const, 'on' as const, 'off' as const)
      .map((value) => ({ do: 'isolate' as const, namespace: name, value })),
  ),
);

/**
 * Sequences of batches of changes; packets are looked at after each batch. The first one fills all places.
 *
 * @param options `restarts`: with ends and restarts of agents among the changes.
 */
export function histories({ restarts }: { readonly restarts: boolean }): fc.Arbitrary<Step[][]> {
  const one: fc.Arbitrary<Step> = restarts ? stepOrRestart : step;
  const first = fc.tuple(isolation, pods, fc.array(one, { maxLength: 8 })).map((parts): Step[] => parts.flat());
  const later = fc.array(fc.array(one, { minLength: 1, maxLength: 5 }), { maxLength: 5 });
  return fc.tuple(first, later).map(([batch, batches]) => [batch].concat(batches));
}
