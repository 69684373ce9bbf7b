import * as fc from 'fast-check';
import { ANY_SPECS, labels, TENANTS } from './random-policies.ts';

const POLICIES = ['one', 'two'];
/** Places for pods, in turn on the first host and on the second. */
const PLACES = 6;
/** How long after a fault was begun it comes, at most, in milliseconds: in the midst of the steps that follow it. */
const MAX_DELAY_MS = 60;

// Most of it in one namespace, where policies have something to choose from.
const namespace = fc.constantFrom('red', 'red', 'red', 'blue', 'blue', 'green', 'grey');
const place = fc.nat({ max: PLACES - 1 });
const policyName = fc.constantFrom(...POLICIES);
const steps = {
  start: fc.record({ do: fc.constant('start' as const), place, namespace, labels }),
  stop: fc.record({ do: fc.constant('stop' as const), place }),
  /** A pod ends by itself: its sandbox goes, its object stays and still shows its addresses. */
  finish: fc.record({ do: fc.constant('finish' as const), place }),
  /** A pod is deleted by force: its object goes at once, its sandbox when the batch is over. */
  force: fc.record({ do: fc.constant('force' as const), place }),
  label: fc.record({ do: fc.constant('label' as const), place, labels }),
  isolate: fc.record({
    do: fc.constant('isolate' as const),
    namespace,
    value: fc.constantFrom('on' as const, 'on' as const, 'off' as const),
  }),
  policy: fc.record({ do: fc.constant('policy' as const), namespace, name: policyName, spec: ANY_SPECS.demo }),
  v1: fc.record({ do: fc.constant('v1' as const), namespace, name: policyName, spec: ANY_SPECS.v1 }),
  cluster: fc.record({ do: fc.constant('cluster' as const), name: policyName, spec: ANY_SPECS.cluster }),
  deleteOther: fc.record({
    do: fc.constant('deleteOther' as const),
    name: policyName,
    namespace: fc.option(namespace, { nil: undefined }),
  }),
  deletePolicy: fc.record({ do: fc.constant('deletePolicy' as const), namespace, name: policyName }),
  /** An agent ends, or is killed, a moment later, and starts again. */
  restart: fc.record({
    do: fc.constant('restart' as const),
    place,
    signal: fc.constantFrom('SIGTERM' as const, 'SIGKILL' as const, 'SIGKILL' as const),
    delayMs: fc.nat({ max: MAX_DELAY_MS }),
  }),
  /** A host loses its power and comes back, and with it its pods, in new sandboxes. */
  reboot: fc.record({ do: fc.constant('reboot' as const), place }),
  controller: fc.record({ do: fc.constant('controller' as const) }),
  /** The API server is away while a pod goes, perhaps with its agent killed, and comes back. */
  apiServer: fc.record({ do: fc.constant('apiServer' as const), place, kill: fc.boolean() }),
  /** A namespace goes with all that is in it, and comes again. */
  renew: fc.record({ do: fc.constant('renew' as const), namespace }),
};
const step = fc.oneof(
  { weight: 3, arbitrary: steps.start },
  { weight: 1, arbitrary: steps.stop },
  { weight: 1, arbitrary: steps.finish },
  { weight: 1, arbitrary: steps.force },
  { weight: 6, arbitrary: steps.label },
  { weight: 2, arbitrary: steps.isolate },
  { weight: 4, arbitrary: steps.policy },
  { weight: 3, arbitrary: steps.v1 },
  { weight: 2, arbitrary: steps.cluster },
  { weight: 2, arbitrary: steps.deleteOther },
  { weight: 1, arbitrary: steps.deletePolicy },
  { weight: 1, arbitrary: steps.renew },
);

const fault = fc.oneof(
  { weight: 4, arbitrary: steps.restart },
  { weight: 1, arbitrary: steps.reboot },
  { weight: 1, arbitrary: steps.controller },
  { weight: 1, arbitrary: steps.apiServer },
);

const stepOrFault = fc.oneof({ weight: 5, arbitrary: step }, { weight: 1, arbitrary: fault });

/** One change of a random world. */
export type Step = typeof stepOrFault extends fc.Arbitrary<infer S> ? S : never;

const FAULTS: ReadonlySet<Step['do']> = new Set(['restart', 'reboot', 'controller', 'apiServer']);

/** Whether something ends or is killed in a step. */
export function isFault(each: Step): boolean {
  return FAULTS.has(each.do);
}

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
 * Sequences of batches of changes; packets and hosts are looked at after each batch. The first one fills all places.
 *
 * @param options `faults`: agents, controller, API server and hosts end and come back among the changes.
 */
export function histories({ faults }: { readonly faults: boolean }): fc.Arbitrary<Step[][]> {
  const one: fc.Arbitrary<Step> = faults ? stepOrFault : step;
  const policies = fc.array(steps.policy, { minLength: 2, maxLength: 4 });
  const first = fc.tuple(isolation, policies, pods).map((parts): Step[] => parts.flat());
  const later = fc.array(fc.array(one, { minLength: 1, maxLength: 6 }), { minLength: 4, maxLength: 10 });
  return fc.tuple(first, later).map(([batch, batches]) => [batch].concat(batches));
}
