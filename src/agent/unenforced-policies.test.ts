import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Occurrence } from '../kube/events.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { silentLog } from '../lib/log.ts';
import type { Policy } from '../policy/model.ts';
import { AgentMetrics } from './metrics.ts';
import { UnenforcedPolicies } from './unenforced-policies.ts';

function policy(source: Policy['source'], name: string, message = 'is refused by the kernel: no'): Policy {
  const cluster = source === 'admin' || source === 'baseline';
  const nobody = { namespaces: { kind: 'names', names: [] }, pods: { requirements: [] } } as const;
  return {
    source,
    ref: cluster
      ? { kind: 'ClusterNetworkPolicy', namespace: '', name, uid: name, generation: 7 }
      : { kind: 'NetworkPolicy', namespace: 'a', name, uid: name },
    priority: 0,
    subject: nobody,
    isolates: { ingress: true, egress: false },
    ingress: [],
    egress: [],
    problems: [{ field: 'spec', message }],
  };
}

function make(): {
  readonly unenforced: UnenforcedPolicies;
  readonly events: Occurrence[];
  readonly metrics: AgentMetrics;
} {
  const events: Occurrence[] = [];
  const metrics = new AgentMetrics();
  const clock = new FakeClock(0);
  const recorder = { record: (event: Occurrence): void => void events.push(event) };
  return { unenforced: new UnenforcedPolicies({ events: recorder, metrics, clock, log: silentLog }), events, metrics };
}

test('R14: UnenforcedPolicies tells of each policy once: event, metric, condition, and for the HostReport', async () => {
  const { unenforced, events, metrics } = make();
  assert.equal(unenforced.condition.status, 'True');
  unenforced.update([policy('v1', 'one'), policy('admin', 'two')]);
  unenforced.update([policy('v1', 'one'), policy('admin', 'two')]);
  assert.deepEqual(
    events.map(({ object, reason }) => [object.apiVersion, object.kind, object.name, reason]),
    [
      ['networking.k8s.io/v1', 'NetworkPolicy', 'one', 'FailsClosed'],
      ['policy.networking.k8s.io/v1alpha2', 'ClusterNetworkPolicy', 'two', 'FailsClosed'],
    ],
  );
  assert.equal((await metrics.unenforcedPolicies.get()).values[0]?.value, 2);
  assert.match(unenforced.condition.message, /^NetworkPolicy a\/one: spec is refused by the kernel: no; Cluster/);
  assert.deepEqual(unenforced.list, [
    {
      apiVersion: 'policy.networking.k8s.io/v1alpha2',
      kind: 'ClusterNetworkPolicy',
      namespace: '',
      name: 'two',
      uid: 'two',
      generation: 7,
      message: 'spec is refused by the kernel: no',
    },
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      namespace: 'a',
      name: 'one',
      uid: 'one',
      message: 'spec is refused by the kernel: no',
    },
  ]);
  unenforced.update([]);
  assert.deepEqual([unenforced.condition.status, unenforced.list], ['True', []]);
});

test('UnenforcedPolicies tells of many in bounds, first of those whose objects can say it themselves', () => {
  const { unenforced } = make();
  const many = Array.from({ length: 100 }, (_, n) => policy('v1', `p${n}`, 'x'.repeat(5_000)));
  unenforced.update([...many, policy('baseline', 'last')]);
  assert.equal(unenforced.list.length, 64);
  assert.equal(unenforced.list[0]?.name, 'last');
  assert.ok(unenforced.list.every(({ message }) => message.length <= 512));
  assert.match(unenforced.condition.message, /; and 96 more$/);
});
