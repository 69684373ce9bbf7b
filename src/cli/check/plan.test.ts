import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress, type Address } from '../../addr/address.ts';
import { parseCidr } from '../../addr/cidr.ts';
import { unwrap } from '../../lib/result.ts';
import type { Doors } from './orders.ts';
import { type ListeningPod, orderOf, planCheck, type PlannedRow, podText } from './plan.ts';
import type { CheckedNode, Target, World } from './world.ts';

const address = (text: string): Address => unwrap(parseAddress(text));
const target = (text: string, port: number): Target => ({ address: address(text), port });

function node(name: string, ...addresses: string[]): CheckedNode {
  return { name, addresses: addresses.map(address), fault: undefined };
}

const A = node('a', '192.168.99.10', 'fd00:99::a');
const B = node('b', '192.168.99.11');

function world(more: Partial<World> = {}): World {
  return {
    nodes: [A, B],
    families: [4],
    ranges: [unwrap(parseCidr('10.0.0.0/16')), unwrap(parseCidr('10.1.0.0/16'))],
    apiService: [target('10.96.0.1', 443)],
    apiServer: [target('192.168.99.10', 6443)],
    image: 'romana:1',
    ...more,
  };
}

/** As short as a test can be read. */
function short({ from, to, family, expected, aim }: PlannedRow): string {
  const who = from === undefined ? 'pods' : podText(from);
  return `${who} > ${to} IPv${family ?? '-'}: ${aim.kind === 'none' ? `not tried, ${aim.why}` : expected}`;
}

test('planCheck tries every way of and between two nodes', () => {
  const { pods, rows } = planCheck(world(), [A, B], undefined);
  assert.deepEqual(
    pods.map(({ name }) => name),
    ['client-0', 'peer-0', 'host-0', 'isolated-0', 'client-1', 'peer-1', 'host-1', 'isolated-1'],
  );
  assert.deepEqual(rows.map(short), [
    'pod on a > another pod on a IPv4: answered',
    'pod on a > node a IPv4: answered',
    'node a > pod on a IPv4: answered',
    'pod on b > another pod on b IPv4: answered',
    'pod on b > node b IPv4: answered',
    'node b > pod on b IPv4: answered',
    'pod on a > pod on b IPv4: answered',
    'pod on a > node b IPv4: answered',
    'node a > pod on b IPv4: answered',
    'pod on b > pod on a IPv4: answered',
    'pod on b > node a IPv4: answered',
    'node b > pod on a IPv4: answered',
    'pod on a > isolated pod on a IPv4: dropped',
    'pod on b > isolated pod on a IPv4: dropped',
    'node a > isolated pod on a IPv4: answered',
    'pod on b > isolated pod on b IPv4: dropped',
    'pod on a > isolated pod on b IPv4: dropped',
    'node b > isolated pod on b IPv4: answered',
    "pod on a > the API server's ClusterIP, 10.96.0.1:443 IPv4: answered",
    "pod on a > kubernetes.default by the cluster's DNS IPv-: answered",
    "pod on b > the API server's ClusterIP, 10.96.0.1:443 IPv4: answered",
    "pod on b > kubernetes.default by the cluster's DNS IPv-: answered",
    "pods > outside IPv-: not tried, no address there is known (--outside ADDRESS:PORT), the API server's own, 192.168.99.10, is a node's",
  ]);
});

test('planCheck tries each way in both families of a dual-stack cluster', () => {
  const one = planCheck(world(), [A, B], undefined).rows.filter(({ family }) => family !== undefined);
  const two = planCheck(world({ families: [4, 6] }), [A, B], undefined).rows.filter(({ aim }) => 'pod' in aim);
  assert.equal(two.length, 2 * one.filter(({ aim }) => 'pod' in aim).length);
});

test('planCheck says what one node, no Services and no outside leave untried', () => {
  const { rows } = planCheck(world({ apiService: undefined, apiServer: [] }), [A], undefined);
  assert.deepEqual(rows.filter(({ aim }) => aim.kind === 'none').map(short), [
    'pods > pods on other nodes IPv-: not tried, a is the only node that was looked at',
    "pods > the API server's ClusterIP IPv-: not tried, this API server has no Services",
    "pods > the cluster's DNS IPv-: not tried, this API server has no Services",
    'pods > outside IPv-: not tried, no address there is known (--outside ADDRESS:PORT)',
  ]);
});

function outside(more: Partial<World>, given?: readonly Target[]): string[] {
  return planCheck(world(more), [A], given)
    .rows.map(short)
    .filter((text) => text.includes('outside'));
}

test('planCheck takes the API server for outside where it is no node, and what is given before it', () => {
  assert.deepEqual(outside({ apiServer: [target('203.0.113.9', 443)] }), [
    'pod on a > outside, 203.0.113.9:443 IPv4: answered',
  ]);
  assert.match(outside({ apiServer: [target('10.1.0.3', 443)] })[0] ?? '', /not tried/);
  assert.deepEqual(outside({}, [target('192.168.99.10', 1), target('2001:db8::1', 2)]), [
    'pod on a > outside, 192.168.99.10:1 IPv4: answered',
    'pods > outside, 2001:db8::1 IPv-: not tried, pods have no IPv6 addresses',
  ]);
});

const PORTS = { open: { tcp: 1, udp: 2 }, shut: { tcp: 3, udp: 4 } };

function listens(addresses: readonly string[], at: readonly string[] = ['']): ListeningPod {
  return { addresses: addresses.map(address), doors: at.map((one): Doors => ({ address: one, ...PORTS })) };
}

test('orderOf sends a pod to addresses that the other listens at', () => {
  const { rows } = planCheck(world({ families: [4, 6] }), [A, B], undefined);
  const listening = new Map([
    ['client-0', listens(['10.0.16.3', 'fd00::3'])],
    ['peer-0', listens(['10.0.16.4'])],
    ['host-0', listens([], ['192.168.99.10', 'fd00:99::a'])],
    ['host-1', listens([], ['192.168.99.11'])],
    ['isolated-0', listens(['10.0.32.3', 'fd00::4'])],
  ]);
  const order = (text: string): unknown => {
    const row = rows.find((one) => short(one).startsWith(text));
    assert.ok(row !== undefined, text);
    return orderOf(row, 7, listening);
  };
  const base = { id: 7, kind: 'talk' };
  assert.deepEqual(order('pod on a > another pod on a IPv4'), {
    ...base,
    address: '10.0.16.4',
    ports: PORTS.open,
    name: 'peer-0',
    source: '10.0.16.3',
  });
  assert.deepEqual(order('pod on a > another pod on a IPv6'), { why: 'pod on a has no IPv6 address', wrong: true });
  assert.deepEqual(order('pod on a > node b IPv6'), { why: 'node b has no IPv6 address', wrong: false });
  assert.deepEqual(order('pod on a > node a IPv6'), {
    ...base,
    address: 'fd00:99::a',
    ports: PORTS.open,
    name: 'host-0',
    source: 'fd00::3',
  });
  assert.deepEqual(order('node a > isolated pod on a IPv4'), {
    ...base,
    address: '10.0.32.3',
    ports: PORTS.shut,
    name: 'isolated-0',
    source: '',
  });
  assert.deepEqual(order('pod on a > isolated pod on a IPv4'), {
    id: 7,
    kind: 'knock',
    address: '10.0.32.3',
    doors: PORTS,
    name: 'isolated-0',
  });
  assert.deepEqual(order('pod on a > pod on b IPv4'), { why: 'pod on b does not run', wrong: false });
  assert.deepEqual(order('pod on b > node b IPv4'), { why: 'pod on b does not run', wrong: false });
  assert.deepEqual(order("pod on a > the API server's ClusterIP"), {
    id: 7,
    kind: 'connect',
    address: '10.96.0.1',
    port: 443,
  });
});
