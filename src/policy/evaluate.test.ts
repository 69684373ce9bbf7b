import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evaluate, type Port, type World } from './evaluate.ts';
import type { Policy, Rule } from './model.ts';
import type { Party, PodParty } from './party.ts';
import { address, cidr, demo, namespace, pod, podsIn, podsWhere, policy, selector, world } from './test-world.ts';

const http: Port = { protocol: 'TCP', port: 80 };
const https: Port = { protocol: 'TCP', port: 443 };
const ping: Port = { protocol: 'ICMP' };

const frontendA = pod('tenant-a/frontend', { segment: 'frontend' });
const backendA = pod('tenant-a/backend', { segment: 'backend' });
const frontendB = pod('tenant-b/frontend', { segment: 'frontend' });
const backendB = pod('tenant-b/backend', { segment: 'backend' });
const other = pod('default/pod');
const at = (...texts: string[]): PodParty => ({ ...other, addresses: texts.map(address) });
const outside: Party = { kind: 'outside', address: address('203.0.113.7') };

const isolated = [namespace('default'), namespace('tenant-a', true), namespace('tenant-b', true)];
const pol1 = demo(
  'tenant-a/pol1',
  { segment: 'backend' },
  {
    toPorts: [{ port: 80, protocol: 'TCP' }],
    from: [{ pods: { segment: 'frontend' } }],
  },
);

function verdict(w: World, from: Party, to: Party, port: Port = http): string {
  return evaluate(w, from, to, port).verdict;
}

function rule(action: Rule['action'], more: Partial<Rule> = {}): Rule {
  return { action, peers: 'any', ports: 'any', field: 'spec.ingress[0]', ...more };
}

function cluster(source: 'admin' | 'baseline', name: string, priority: number, ...ingress: Rule[]): Policy {
  return policy(source, name, { priority, ingress });
}

/** tenant-a isolated by a v1 policy too, whose one rule is this. */
function v1World(more: Partial<Rule>, direction: 'ingress' | 'egress' = 'ingress'): World {
  const isolates = { ingress: direction === 'ingress', egress: direction === 'egress' };
  return world(isolated, [policy('v1', 'tenant-a/p', { isolates, [direction]: [rule('Accept', more)] })]);
}

function fromCidr(text: string): World {
  return v1World({ peers: [{ kind: 'cidrs', blocks: [{ cidr: cidr(text), except: [] }] }] });
}

test('evaluate allows everything where nobody said anything', () => {
  const decision = evaluate(world([namespace('default')]), other, pod('default/b'), http);
  const reason = { verdict: 'allow', tier: 'default', object: '', field: '', near: [] };
  assert.deepEqual(decision, { verdict: 'allow', egress: reason, ingress: reason });
});

test('evaluate of the founding page: isolation closes, pol1 opens exactly what it says', () => {
  const w = world(isolated, [pol1]);
  const table: readonly (readonly [PodParty, PodParty, Port, string])[] = [
    [frontendA, backendA, http, 'allow'],
    [frontendA, backendA, https, 'deny'],
    [frontendA, backendA, { protocol: 'UDP', port: 80 }, 'deny'],
    [frontendA, backendA, ping, 'deny'],
    [backendA, frontendA, http, 'deny'],
    [frontendB, backendA, http, 'deny'],
    [frontendB, backendB, http, 'deny'],
    [other, backendA, http, 'deny'],
    [other, frontendB, http, 'deny'],
    [frontendA, other, http, 'allow'],
  ];
  for (const [from, to, port, wanted] of table) {
    assert.equal(verdict(w, from, to, port), wanted, `${from.namespace}/${from.name} -> ${to.namespace}/${to.name}`);
  }
});

test('evaluate says which object and field allowed', () => {
  assert.deepEqual(evaluate(world(isolated, [pol1]), frontendA, backendA, http).ingress, {
    verdict: 'allow',
    tier: 'policy',
    object: 'demo NetworkPolicy tenant-a/pol1',
    field: 'spec.allowIncoming.from[0]',
    near: [],
  });
});

test('evaluate says what isolated, and of each policy that selects the pod why it did not allow', () => {
  const more = [
    pol1,
    demo('tenant-a/none', { segment: 'backend' }),
    demo('tenant-a/far', {}, { from: [{ pods: { app: 'x' } }] }),
  ];
  const near = (from: Party, port: Port): readonly string[] =>
    evaluate(world(isolated, more), from, backendA, port).ingress.near;
  const decision = evaluate(world(isolated, more), frontendA, backendA, https);
  assert.deepEqual(
    { ...decision.ingress, near: [] },
    { verdict: 'deny', tier: 'isolation', object: 'Namespace tenant-a', field: 'metadata.annotations', near: [] },
  );
  assert.deepEqual(near(frontendA, https), [
    'demo NetworkPolicy tenant-a/pol1 spec.allowIncoming: right peer, but TCP/443 is not among its ports (TCP/80)',
    'demo NetworkPolicy tenant-a/far spec.allowIncoming: tenant-a/frontend is not among its peers',
    'demo NetworkPolicy tenant-a/none: allows no ingress',
  ]);
  assert.match(
    near(other, http)[1] ?? '',
    /pol1 spec.allowIncoming: right port, but default\/pod is not among its peers$/,
  );
  assert.match(
    near(other, ping)[1] ?? '',
    /default\/pod is not among its peers and ICMP is not among its ports \(TCP\/80\)$/,
  );
});

test('evaluate lists at most ten near misses', () => {
  const many = Array.from({ length: 30 }, (_, i) => demo(`tenant-a/p${i}`, {}));
  assert.equal(evaluate(world(isolated, many), other, backendA, http).ingress.near.length, 10);
});

test('R38: evaluate tells the empty segment, the segment default and no segment apart', () => {
  const pods = {
    empty: pod('tenant-a/e', { segment: '' }),
    default: pod('tenant-a/d', { segment: 'default' }),
    none: pod('tenant-a/n'),
  };
  for (const value of ['', 'default']) {
    const asPeer = world(isolated, [demo('tenant-a/p', {}, { from: [{ pods: { segment: value } }] })]);
    const asSubject = world(isolated, [demo('tenant-a/p', { segment: value }, {})]);
    for (const [name, party] of Object.entries(pods)) {
      const wanted = name === (value === '' ? 'empty' : value) ? 'allow' : 'deny';
      assert.equal(verdict(asPeer, party, backendA), wanted, `peer ${name}, policy "${value}"`);
      assert.equal(verdict(asSubject, other, party), wanted, `subject ${name}, policy "${value}"`);
    }
  }
});

test('R30: evaluate treats policies of one name in two namespaces as two', () => {
  const both = [pol1, demo('tenant-b/pol1', { segment: 'backend' }, { from: [{ pods: {} }] })];
  assert.equal(verdict(world(isolated, both), frontendB, backendB), 'allow');
  assert.equal(verdict(world(isolated, both), frontendA, backendB), 'deny');
  assert.equal(verdict(world(isolated, both.slice(1)), frontendA, backendA), 'deny');
  assert.equal(verdict(world(isolated, both.slice(1)), frontendB, backendB), 'allow');
});

test('R26: evaluate follows edits of a policy, of labels and of the annotation', () => {
  const edited = demo('tenant-a/pol1', { segment: 'backend' }, { toPorts: [{ port: 443 }], from: [{ pods: {} }] });
  assert.equal(verdict(world(isolated, [edited]), frontendA, backendA, http), 'deny');
  assert.equal(verdict(world(isolated, [edited]), frontendA, backendA, https), 'allow');
  const relabelled = { ...frontendA, labels: new Map([['segment', 'x']]) };
  assert.equal(verdict(world(isolated, [pol1]), relabelled, backendA), 'deny');
  assert.equal(verdict(world([namespace('tenant-a')], [pol1]), relabelled, backendA), 'allow');
});

test('evaluate closes for ingress a namespace that it does not know', () => {
  const { ingress } = evaluate(world([namespace('default')]), other, backendA, http);
  assert.deepEqual([ingress.verdict, ingress.object], ['deny', 'unknown Namespace tenant-a']);
});

test('R5: evaluate always lets a host to its own pods, and judges another host like outside', () => {
  const own: Party = { kind: 'host', name: 'minion1', labels: new Map(), addresses: [address('192.168.99.11')] };
  const foreign: Party = { kind: 'host', name: 'minion2', labels: new Map(), addresses: [address('192.168.99.12')] };
  const denyAll = world(isolated, [cluster('admin', 'none', 0, rule('Deny'))]);
  const { ingress } = evaluate(denyAll, own, backendA, http);
  assert.deepEqual([ingress.verdict, ingress.tier, ingress.object], ['allow', 'always', 'Node minion1']);
  assert.equal(verdict(denyAll, foreign, backendA), 'deny');
  assert.equal(verdict(world(isolated), foreign, backendA), 'deny');
  assert.equal(verdict(denyAll, own, { ...backendA, node: '' }), 'deny');
});

test('evaluate lets a pod to its own host unless a cluster policy says otherwise; v1 isolation does not', () => {
  const own: Party = { kind: 'host', name: 'minion1', labels: new Map(), addresses: [address('192.168.99.11')] };
  const foreign: Party = { kind: 'host', name: 'minion2', labels: new Map(), addresses: [address('192.168.99.12')] };
  const shut = policy('v1', 'tenant-a/shut', { isolates: { ingress: false, egress: true } });
  assert.equal(verdict(world(isolated, [shut]), backendA, own), 'allow');
  assert.equal(verdict(world(isolated, [shut]), backendA, foreign), 'deny');
  for (const source of ['admin', 'baseline'] as const) {
    const deny = policy(source, 'deny', { egress: [rule('Deny')] });
    assert.equal(verdict(world(isolated, [deny]), backendA, own), 'deny', source);
  }
});

test('R6: evaluate never takes a host, and so a hostNetwork pod, for a pod', () => {
  const host: Party = { kind: 'host', name: 'minion2', labels: new Map(), addresses: [address('10.1.17.3')] };
  const deny = policy('admin', 'deny', { ingress: [rule('Deny')], egress: [rule('Deny')] });
  const { egress } = evaluate(world(isolated, [deny]), host, outside, http);
  assert.equal(egress.verdict, 'allow');
  const everyPod = world(isolated, [demo('tenant-a/p', {}, { from: [{ pods: {} }] })]);
  assert.equal(verdict(everyPod, host, backendA), 'deny');
});

test('R20: evaluate always lets a pod reach itself', () => {
  const deny = policy('admin', 'deny', { ingress: [rule('Deny')], egress: [rule('Deny')] });
  assert.equal(verdict(world(isolated, [deny]), backendA, backendA, ping), 'allow');
  assert.equal(verdict(world(isolated, [deny]), { ...backendA, name: '' }, { ...backendA, name: '' }), 'deny');
});

test('evaluate asks Admin before policies, policies before Baseline, Baseline before the default', () => {
  const open = demo('tenant-a/open', {}, {});
  const table: readonly (readonly [readonly Policy[], boolean, string, string])[] = [
    [[cluster('admin', 'a', 0, rule('Accept'))], true, 'allow', 'admin'],
    [[cluster('admin', 'a', 0, rule('Deny')), open], true, 'deny', 'admin'],
    [[cluster('admin', 'a', 0, rule('Pass')), cluster('admin', 'b', 1, rule('Deny'))], false, 'allow', 'default'],
    [[cluster('admin', 'b', 1, rule('Deny')), cluster('admin', 'a', 0, rule('Accept'))], false, 'allow', 'admin'],
    [[cluster('admin', 'b', 1, rule('Deny')), cluster('admin', 'a', 1, rule('Accept'))], false, 'allow', 'admin'],
    [[cluster('admin', 'a', 0, rule('Accept', { peers: [] })), open], true, 'allow', 'policy'],
    [[cluster('baseline', 'z', 0, rule('Accept'))], true, 'deny', 'isolation'],
    [[cluster('baseline', 'z', 0, rule('Deny')), open], true, 'allow', 'policy'],
    [[cluster('baseline', 'z', 0, rule('Deny')), open], false, 'allow', 'policy'],
    [[cluster('baseline', 'z', 0, rule('Deny'))], false, 'deny', 'baseline'],
    [[cluster('baseline', 'z', 0, rule('Accept'))], false, 'allow', 'baseline'],
    [[cluster('admin', 'a', 0, rule('Pass')), cluster('baseline', 'z', 0, rule('Deny'))], false, 'deny', 'baseline'],
  ];
  for (const [policies, isolate, wanted, tier] of table) {
    const w = world([namespace('default'), namespace('tenant-a', isolate)], policies);
    const { ingress } = evaluate(w, other, backendA, http);
    assert.deepEqual([ingress.verdict, ingress.tier], [wanted, tier], policies.map((p) => p.ref.name).join());
  }
});

test('evaluate isolates by v1 policy in the directions that it names, and names the policies', () => {
  const v1 = policy('v1', 'tenant-a/v1', {
    isolates: { ingress: true, egress: true },
    ingress: [rule('Accept', { peers: [{ kind: 'pods', selection: podsWhere('team=x', 'app in (a,b)') }] })],
    egress: [
      rule('Accept', {
        peers: [{ kind: 'cidrs', blocks: [{ cidr: cidr('203.0.113.0/24'), except: [cidr('203.0.113.8/32')] }] }],
        field: 'spec.egress[0]',
      }),
    ],
  });
  const w = world([namespace('tenant-a'), namespace('default', false, { team: 'x' })], [v1]);
  assert.equal(verdict(w, pod('default/a', { app: 'a' }), backendA), 'allow');
  const { ingress } = evaluate(w, other, backendA, http);
  assert.deepEqual([ingress.tier, ingress.object, ingress.field], ['isolation', 'NetworkPolicy tenant-a/v1', 'spec']);
  assert.equal(evaluate(w, backendA, outside, http).egress.field, 'spec.egress[0].to[0]');
  assert.equal(verdict(w, backendA, { kind: 'outside', address: address('203.0.113.8') }), 'deny');
  assert.equal(verdict(w, backendA, other), 'deny');
});

test('evaluate finds a peer by the labels of its Node, whatever its address, and takes no pod for one', () => {
  const nodes = rule('Accept', { peers: [{ kind: 'nodes', selector: selector('zone=a') }] });
  const w = world(isolated, [cluster('admin', 'nodes', 0, nodes)]);
  const labels = new Map([['zone', 'a']]);
  const inZone: Party = { kind: 'host', name: 'minion2', labels, addresses: [address('192.168.99.12')] };
  assert.equal(evaluate(w, inZone, backendA, http).ingress.field, 'spec.ingress[0].from[0]');
  assert.equal(verdict(w, { ...inZone, labels: new Map([['zone', 'b']]) }, backendA), 'deny');
  const posing = { ...other, labels, addresses: inZone.addresses };
  assert.equal(verdict(w, posing, backendA), 'deny');
});

test('evaluate takes the blocks of one peer together, and one of another family for none', () => {
  const blocks = [
    { cidr: cidr('10.0.0.0/8'), except: [cidr('10.1.0.0/16')] },
    { cidr: cidr('fd00::/8'), except: [] },
  ];
  const w = v1World({ peers: [{ kind: 'cidrs', blocks }] });
  assert.equal(verdict(w, at('10.2.0.1', 'fd00::1'), backendA), 'allow');
  assert.equal(verdict(w, at('10.1.0.1', 'fd00::1'), backendA), 'deny'); // it depends on the family
  assert.equal(verdict(w, at('10.1.0.1'), backendA), 'deny');
  assert.equal(verdict(w, at(), backendA), 'deny');
});

test('evaluate resolves a named port on the destination, with its protocol', () => {
  const web = { ports: [{ protocol: 'TCP', ports: { name: 'web' } }] } as const;
  const ports = [
    { name: 'web', protocol: 'TCP', port: 80 },
    { name: 'web', protocol: 'UDP', port: 443 },
  ] as const;
  const server = { ...backendA, ports };
  assert.equal(verdict(v1World(web), other, server, http), 'allow');
  assert.equal(verdict(v1World(web), other, server, https), 'deny');
  assert.equal(verdict(v1World(web), other, backendA, http), 'deny');
  assert.equal(verdict(v1World(web, 'egress'), backendA, { ...other, ports }, http), 'allow');
  assert.equal(verdict(v1World(web, 'egress'), backendA, outside, http), 'deny');
});

test('R21: evaluate matches ping only by rules for all ports', () => {
  const ports = [
    { protocol: 'TCP', ports: 'any' },
    { protocol: 'UDP', ports: 'any' },
  ] as const;
  assert.equal(verdict(v1World({}), other, backendA, ping), 'allow');
  assert.equal(verdict(v1World({ ports }), other, backendA, ping), 'deny');
  assert.equal(verdict(v1World({ ports }), other, backendA, http), 'allow');
});

test('evaluate judges CIDRs by the addresses over which the two ends can meet', () => {
  const w = fromCidr('10.0.0.0/8');
  const dual = pod('default/dual', {}, { addresses: [address('10.1.17.3'), address('fd00:10::1:1:1:3')] });
  assert.equal(verdict(w, dual, { ...backendA, addresses: [address('10.2.17.3')] }), 'allow');
  assert.equal(verdict(w, dual, { ...backendA, addresses: [address('fd00:10::2:1:1:3')] }), 'deny');
  assert.equal(verdict(w, dual, { ...backendA, addresses: dual.addresses }), 'deny');
  assert.equal(verdict(w, other, backendA), 'deny');
});

test('evaluate matches a pod without an address by no CIDR but /0', () => {
  assert.equal(verdict(fromCidr('0.0.0.0/0'), other, backendA), 'allow');
  assert.equal(verdict(fromCidr('10.0.0.0/8'), other, backendA), 'deny');
});

test('evaluate closes what it does not know: a peer of unknown tenant, of other labels, of unknown ports', () => {
  const unknown: Party = { kind: 'unknown', address: address('10.1.33.3') };
  const byApp = podsIn(['tenant-a'], 'app=a');
  const bySegment = podsIn(['tenant-a'], 'segment=frontend');
  const partly: PodParty = { ...frontendA, name: '', known: 'segment' };
  const admin = (action: Rule['action'], selection: typeof byApp): World =>
    world(
      [namespace('tenant-a', action === 'Accept')],
      [cluster('admin', 'a', 0, rule(action, { peers: [{ kind: 'pods', selection }] }))],
    );
  const table: readonly (readonly [World, Party, string])[] = [
    [admin('Accept', bySegment), unknown, 'deny'],
    [admin('Deny', bySegment), unknown, 'deny'],
    [admin('Accept', byApp), partly, 'deny'],
    [admin('Deny', byApp), partly, 'deny'],
    [admin('Accept', bySegment), partly, 'allow'],
    [admin('Deny', bySegment), partly, 'deny'],
    [admin('Deny', podsIn(['tenant-a'], 'segment=other')), partly, 'allow'],
    [admin('Deny', podsIn(['tenant-a'], 'segment=other,app=a')), partly, 'allow'],
    [admin('Deny', podsWhere('team=x')), pod('nowhere/p'), 'deny'],
    [world([namespace('tenant-a')]), unknown, 'allow'],
  ];
  for (const [i, [w, from, wanted]] of table.entries()) {
    assert.equal(evaluate(w, from, backendA, http).ingress.verdict, wanted, `row ${i}`);
  }
});

test('evaluate after a Pass that only may match: what follows can deny, and no longer accept', () => {
  const partly: PodParty = { ...frontendA, name: '', known: 'segment' };
  const perhaps = rule('Pass', { peers: [{ kind: 'pods', selection: podsIn(['tenant-a'], 'app=a') }] });
  const w = (isolate: boolean, ...rest: Rule[]): World =>
    world([namespace('tenant-a', isolate)], [cluster('admin', 'a', 0, perhaps, ...rest)]);
  assert.equal(verdict(w(false, rule('Deny')), partly, backendA), 'deny');
  assert.equal(verdict(w(true, rule('Accept')), partly, backendA), 'deny');
  assert.equal(verdict(w(false, rule('Accept')), partly, backendA), 'allow');
});

test('evaluate of a connection that ends outside has nothing to say for that end', () => {
  const { ingress, egress } = evaluate(world(isolated), backendA, outside, http);
  assert.deepEqual([ingress.tier, egress.tier], ['always', 'default']);
  assert.equal(verdict(world(isolated), outside, backendA), 'deny');
});
