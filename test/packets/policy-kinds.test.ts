import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { waitFor } from '../../src/lib/wait-for.ts';
import type { Condition } from '../../src/objects/host-report.ts';
import { CLUSTER_NETWORK_POLICIES, EVENTS, HOST_REPORTS } from '../../src/objects/resources.ts';
import { reachHost } from '../support/rig-own-host.ts';
import { RigPolicies } from '../support/rig-policies.ts';
import { Rig } from '../support/rig.ts';
import type { RigPod } from '../support/rig-pod.ts';

const tcp = (port: number | string, endPort?: number): object => ({
  ports: [{ port, protocol: 'TCP', ...(endPort === undefined ? {} : { endPort }) }],
});
const app = (value: string): object => ({ matchLabels: { app: value } });
const named = (name: string): object => ({ matchLabels: { 'kubernetes.io/metadata.name': name } });

void describe('policies of Kubernetes on packets', () => {
  let rig: Rig;
  let policies: RigPolicies;
  before(async () => {
    rig = await Rig.start();
    policies = new RigPolicies(rig);
  });
  afterEach(async () => {
    await policies.clear();
    await rig.clear();
  });
  after(() => rig[Symbol.asyncDispose]());

  /** A client on the first host, and a server on each. */
  async function makePods(namespace: string): Promise<[client: RigPod, near: RigPod, far: RigPod]> {
    await rig.namespace(namespace);
    const ports = [
      { name: 'first', containerPort: 80 },
      { name: 'second', containerPort: 81 },
    ];
    return Promise.all([
      rig.pod({ namespace, name: 'client', labels: { app: 'client', segment: 'c' } }),
      rig.pod({ namespace, name: 'near', labels: { app: 'near', segment: 's' }, ports: ports.slice(0, 1) }),
      rig.pod({ namespace, name: 'far', labels: { app: 'far', segment: 's' }, ports: ports.slice(1), host: 1 }),
    ]);
  }

  /** What comes of TCP to ports 80 and 81 of each of `to`. */
  async function ports(from: RigPod, ...to: RigPod[]): Promise<string[]> {
    await rig.settled();
    const outcomes = to.map((pod) => Promise.all([80, 81].map((port) => rig.reach(from, pod, 'tcp', port))));
    return (await Promise.all(outcomes)).map((both) => both.join(' '));
  }

  void test('R27: egress of NetworkPolicies: peers, ports by number and by name of each destination, ranges', async () => {
    const namespace = 'v1-egress';
    const [client, near, far] = await makePods(namespace);
    const egress = async (...rules: object[]): Promise<string[]> => {
      await policies.v1(namespace, 'p', { podSelector: app('client'), policyTypes: ['Egress'], egress: rules });
      return ports(client, near, far);
    };
    assert.deepEqual(await egress(), ['dropped dropped', 'dropped dropped']);
    assert.deepEqual(await egress({ to: [{ podSelector: app('far') }] }), ['dropped dropped', 'open open']);
    const segment = { to: [{ podSelector: { matchLabels: { segment: 's' } } }], ...tcp(81) };
    assert.deepEqual(await egress(segment), ['dropped open', 'dropped open']);
    assert.deepEqual(await egress(tcp('first')), ['open dropped', 'dropped dropped']);
    assert.deepEqual(await egress(tcp('first'), tcp('second')), ['open dropped', 'dropped open']);
    assert.deepEqual(await egress(tcp(81, 2_000)), ['dropped open', 'dropped open']);
    assert.deepEqual(await egress(tcp(1, 80)), ['open dropped', 'open dropped']);
    assert.deepEqual(await egress({ ports: [{ protocol: 'UDP' }] }), ['dropped dropped', 'dropped dropped']);
    assert.equal(await rig.reach(client, far, 'udp', 81), 'open');
    assert.equal(await rig.reach(far, near, 'tcp', 80), 'open', 'others are left alone');
  });

  void test('R13: an except excludes only within its own rule, and overlapping CIDRs are all taken', async () => {
    const namespace = 'v1-cidr';
    const [client, near, far] = await makePods(namespace);
    const egress = async (...rules: object[]): Promise<string[]> => {
      await policies.v1(namespace, 'p', { podSelector: app('client'), policyTypes: ['Egress'], egress: rules });
      return ports(client, near, far);
    };
    assert.deepEqual(await egress({ to: block(near, [8, 0], near) }), ['dropped dropped', 'open open']);
    assert.deepEqual(await egress({ to: block(near, [8, 0], near) }, { to: block(near, [8, 0], far), ...tcp(80) }), [
      'open dropped',
      'open open',
    ]);
    assert.deepEqual(
      await egress({ to: [...block(near, [16, 0], near), ...block(near, [8, 0]), ...block(far, [24, 0])], ...tcp(81) }),
      ['dropped open', 'dropped open'],
    );
    assert.deepEqual(await egress({ to: block(near, [0, 0], near, far) }), ['dropped dropped', 'dropped dropped']);
    const ingress = [{ from: block(near, [8, 0], client) }];
    await policies.v1(namespace, 'p', { podSelector: app('far'), ingress });
    assert.deepEqual(await ports(client, near, far), ['open open', 'dropped dropped']);
    assert.deepEqual(await ports(near, far), ['open open']);
  });

  void test('cluster policies decide before others in the Admin tier, after them in the Baseline tier', async () => {
    const namespace = 'tiers';
    const [client, near, far] = await makePods(namespace);
    const subject = { namespaces: named(namespace) };
    const from = (labels: object): object[] => [{ pods: { namespaceSelector: named(namespace), podSelector: labels } }];
    const open = ['open open', 'open open'];
    const shut = ['dropped dropped', 'dropped dropped'];
    const baseline = { tier: 'Baseline', subject, ingress: [{ action: 'Deny', from: [{ namespaces: {} }] }] };
    await policies.cluster('baseline', baseline);
    assert.deepEqual(await ports(client, near, far), shut);
    await policies.v1(namespace, 'allow', {
      podSelector: {},
      ingress: [{ from: [{ podSelector: app('client') }], ...tcp(80) }],
    });
    assert.deepEqual(await ports(client, near, far), ['open dropped', 'open dropped'], 'v1 before Baseline');
    await policies.cluster('one', { priority: 2, subject, ingress: [{ action: 'Deny', from: from(app('client')) }] });
    assert.deepEqual(await ports(client, near, far), shut, 'Admin before v1');
    const accept = { action: 'Accept', from: from({}), protocols: [{ tcp: { destinationPort: { number: 81 } } }] };
    await policies.cluster('two', { priority: 1, subject, ingress: [accept] });
    assert.deepEqual(await ports(client, near, far), ['dropped open', 'dropped open'], 'the lower priority first');
    await policies.cluster('two', { priority: 1, subject, ingress: [{ ...accept, action: 'Pass' }] });
    assert.deepEqual(await ports(client, near, far), shut, 'passed on to v1, which isolates');
    await policies.delete('allow', namespace);
    await policies.delete('baseline');
    assert.deepEqual(await ports(client, near, far), ['dropped open', 'dropped open'], 'passed on to nobody');
    await policies.clear();
    assert.deepEqual(await ports(client, near, far), open);
    await policies.cluster('egress', {
      subject: { pods: { namespaceSelector: named(namespace), podSelector: app('client') } },
      egress: [
        { action: 'Accept', to: [{ networks: [`${near.address(4)}/32`, `${near.address(6)}/128`] }] },
        { action: 'Deny', to: [{ networks: ['0.0.0.0/0', '::/0'] }] },
      ],
    });
    assert.deepEqual(await ports(client, near, far), ['open open', 'dropped dropped']);
  });

  void test('R5: a pod reaches its own host unless an egress rule of a cluster policy says otherwise; hosts reach their pods under deny-all', async () => {
    const namespace = 'own-host';
    const [client, near, far] = await makePods(namespace);
    const [own, other] = [rig.host(0), rig.host(1)];
    await policies.v1(namespace, 'deny-all', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
    await rig.settled();
    for (const pod of [client, near]) assert.equal(await reachHost(pod, own, 'udp'), 'open');
    for (const pod of [client, near, far]) {
      assert.equal(await rig.reach(pod.host, pod, 'tcp', 80), 'open', 'a probe of the kubelet');
      assert.equal(await rig.reach(pod.host === own ? other : own, pod, 'tcp', 80), 'dropped', 'another host');
    }
    const deny = (to: object): object => ({
      subject: { pods: { namespaceSelector: named(namespace), podSelector: app('client') } },
      egress: [
        { action: 'Deny', to: [to], protocols: [{ tcp: { destinationPort: { range: { start: 1, end: 60_000 } } } }] },
      ],
    });
    await policies.cluster('no-nodes', deny({ nodes: {} }));
    await rig.settled();
    assert.equal(await reachHost(client, own, 'tcp'), 'dropped');
    assert.equal(await reachHost(client, own, 'udp'), 'open');
    assert.equal(await reachHost(near, own, 'tcp'), 'open');
    assert.equal(await rig.reach(own, client, 'tcp', 80), 'open', 'the pod answers');
    await policies.delete('deny-all', namespace);
    await rig.settled();
    assert.equal(await reachHost(client, other, 'tcp'), 'dropped');
    assert.equal(await reachHost(client, other, 'udp'), 'open');
    await policies.cluster(
      'no-nodes',
      deny({ networks: other.addresses.map((a) => `${a}/${a.includes(':') ? 128 : 32}`) }),
    );
    await rig.settled();
    assert.equal(await reachHost(client, other, 'tcp'), 'dropped');
    assert.equal(await reachHost(client, own, 'tcp'), 'open');
  });

  void test('R25: a field that is not known and domain names open nothing; a Deny or Pass with one denies everything', async () => {
    const namespace = 'r25';
    const [client, near, far] = await makePods(namespace);
    const known = { from: [{ podSelector: app('client') }] };
    await policies.v1(namespace, 'p', { podSelector: app('near'), ingress: [{ ...known, onlyOnSundays: true }] });
    assert.deepEqual(await ports(client, near, far), ['dropped dropped', 'open open']);
    await policies.v1(namespace, 'p', {
      podSelector: app('near'),
      ingress: [{ from: [{ podSelector: {}, serviceAccountSelector: app('client') }] }, { ...known, ...tcp(81) }],
    });
    assert.deepEqual(await ports(client, near, far), ['dropped open', 'open open']);
    await policies.delete('p', namespace);
    for (const action of ['Accept', 'Deny', 'Pass']) {
      const subject = { pods: { namespaceSelector: named(namespace), podSelector: app('client') } };
      const toNames = { action, to: [{ domainNames: ['example.org'] }] };
      const toNear = {
        action: 'Accept',
        to: [{ pods: { namespaceSelector: named(namespace), podSelector: app('near') } }],
      };
      const toAll = { action: 'Deny', to: [{ namespaces: {} }] };
      await policies.cluster('names', { subject, egress: [toNames, toNear, toAll] });
      const toThat = action === 'Accept' ? 'open open' : 'dropped dropped';
      assert.deepEqual(await ports(client, near, far), [toThat, 'dropped dropped'], action);
      assert.deepEqual(await ports(near, far), ['open open'], 'others are left alone');
    }
  });

  void test('R14: what is beyond a bound or not known fails closed for the pods that it selects only, and is told', async () => {
    const namespace = 'closed';
    const [client, near, far] = await makePods(namespace);
    const many = Array.from({ length: 1_001 }, (_, n) => ({ ports: [{ port: n + 1 }] }));
    await policies.v1(namespace, 'big', { podSelector: app('near'), ingress: many });
    await policies.v1(namespace, 'small', { podSelector: app('near'), ingress: [tcp(81)] });
    assert.deepEqual(await ports(client, near, far), ['dropped open', 'open open']);
    const [host] = rig.hosts;
    assert.equal((await host?.metrics())?.get('romana_agent_policies_failing_closed'), 1);
    assert.equal((await rig.host(1).metrics()).get('romana_agent_policies_failing_closed'), 0);
    const told = async (): Promise<boolean> => {
      const { items } = await rig.api.client.list(EVENTS);
      const about = items.map((item) => item as { involvedObject: { name: string }; message: string });
      return about.some(
        (e) => e.involvedObject.name === 'big' && e.message.includes('has 1001 rules, more than the 1000'),
      );
    };
    await waitFor('an event on the policy', told);
    const condition = async (): Promise<string | undefined> => {
      const report = (await rig.api.client.get(HOST_REPORTS, 'host1')) as { status: { conditions: Condition[] } };
      return report.status.conditions.find(({ type }) => type === 'PoliciesEnforced')?.status;
    };
    await waitFor('a condition of the host', async () => (await condition()) === 'False');
    await policies.v1(namespace, 'big', { podSelector: app('near'), ingress: many.slice(70, 90) });
    assert.deepEqual(await ports(client, near, far), ['open open', 'open open']);
    await waitFor('the condition to be good again', async () => (await condition()) === 'True');
    const subject = { pods: { namespaceSelector: named(namespace), podSelector: app('client') } };
    const byName = { action: 'Accept', to: [{ domainNames: ['example.org'] }] };
    const deny = { action: 'Deny', to: [{ networks: ['0.0.0.0/0', '::/0'] }] };
    await policies.cluster('names', { subject, egress: [byName, deny] });
    assert.deepEqual(await ports(client, near, far), ['dropped dropped', 'dropped dropped']);
    assert.deepEqual(await ports(near, far), ['open open']);
    const enforced = async (): Promise<Condition | undefined> => {
      const object = (await rig.api.client.get(CLUSTER_NETWORK_POLICIES, 'names')) as {
        status?: { conditions?: Condition[] };
      };
      return object.status?.conditions?.find(({ type }) => type === 'romana.io/Enforced');
    };
    const said = await enforced();
    assert.equal(said?.status, 'False', 'on the object itself');
    assert.match(said.message, /^spec\.egress\[0\]\.to\[0\]\.domainNames /);
    await policies.cluster('names', { subject, egress: [deny] });
    await rig.settled();
    await waitFor('the policy to say that it is enforced', async () => (await enforced())?.status === 'True');
  });
});

/** Blocks around the addresses of a pod, of these lengths in both families, without those of others. */
function block(of: RigPod, length: readonly [number, number], ...except: RigPod[]): object[] {
  return ([4, 6] as const).map((family, n) => {
    const base = family === 4 ? prefix4(of.address(4), length[0]) : '::';
    const holes = except.map((pod) => `${pod.address(family)}/${family === 4 ? 32 : 128}`);
    return { ipBlock: { cidr: `${base}/${length[n]}`, ...(holes.length === 0 ? {} : { except: holes }) } };
  });
}

function prefix4(address: string, length: number): string {
  const octets = address.split('.').map((octet, n) => (n < length / 8 ? octet : '0'));
  return octets.join('.');
}
