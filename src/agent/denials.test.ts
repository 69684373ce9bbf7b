import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type Address, fromBits } from '../addr/address.ts';
import type { LoggedPacket } from '../kernel/nflog.ts';
import type { Occurrence } from '../kube/events.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { silentLog } from '../lib/log.ts';
import { identityIndex } from '../plan/identity.ts';
import { pol1, snapshotOf } from '../plan/snapshot-fixture.ts';
import type { Snapshot } from '../plan/snapshot.ts';
import { partyName } from '../policy/party.ts';
import { Denials, QUIET_MS } from './denials.ts';
import { AgentMetrics } from './metrics.ts';

const BACKEND = { namespace: 'tenant-a', name: 'backend', labels: { segment: 'backend' }, host: 1, endpoint: 3 };
const WORLD = snapshotOf({ pods: [BACKEND], policies: [pol1('tenant-a')] });
const BACKEND_IP = '10.1.18.3' as Address;
const CLIENT_IP = '10.2.32.7' as Address;

function packet(more: Partial<LoggedPacket> & { readonly port?: number } = {}): LoggedPacket {
  const { port = 80, ...rest } = more;
  const ports = { src: 40_000, dst: port };
  return { prefix: 'romana ingress', src: CLIENT_IP, dst: BACKEND_IP, protocol: 6, ports, ...rest };
}

/** The nth address of 203.0.113.0/24. */
const outside = (n: number): Address => fromBits(4, 0xcb007100n + BigInt(n));

function setUp(snapshot: Snapshot = WORLD) {
  const clock = new FakeClock(1_000_000);
  const events: Occurrence[] = [];
  const lines: { readonly message: string; readonly more: number; readonly port: string }[] = [];
  const metrics = new AgentMetrics();
  let current = snapshot;
  const denials = new Denials({
    snapshot: () => current,
    identities: identityIndex,
    ownAddresses: () => ['10.1.0.1' as Address],
    names: { nameOf: (party) => Promise.resolve(partyName(party)) },
    events: { record: (occurrence) => events.push(occurrence) },
    metrics,
    clock,
    log: {
      ...silentLog,
      info: (fields, message) => lines.push({ ...(fields as { more: number; port: string }), message }),
    },
  });
  /** Hears packets and lets be told what follows. */
  const hear = async (...packets: readonly LoggedPacket[]): Promise<void> => {
    for (const each of packets) denials.hear(each);
    await new Promise(setImmediate);
  };
  const change = (to: Snapshot): void => void (current = to);
  const counted = async (name: string): Promise<number> =>
    Number(new RegExp(`^${RegExp.escape(name)} (\\d+)$`, 'm').exec(await metrics.registry.metrics())?.[1] ?? 0);
  return { clock, events, lines, hear, change, counted };
}

test('Denials records an event on the pod here, with both ends and what denies', async () => {
  const { events, lines, hear, counted } = setUp();
  await hear(packet());
  assert.deepEqual(
    events.map(({ object, type, reason, message }) => ({ object, type, reason, message })),
    [
      {
        object: { apiVersion: 'v1', kind: 'Pod', namespace: 'tenant-a', name: 'backend', uid: 'tenant-a/backend' },
        type: 'Warning',
        reason: 'PolicyDenied',
        message:
          'TCP/80 from tenant-b/10.2.32.7 to tenant-a/backend (10.1.18.3) is denied, ingress of tenant-a/backend: ' +
          'isolated by Namespace tenant-a, allowed by none of: demo NetworkPolicy tenant-a/pol1 spec.allowIncoming: ' +
          'right port, but tenant-b/10.2.32.7 is not among its peers',
      },
    ],
  );
  assert.equal(lines.length, 1);
  assert.equal(await counted('romana_agent_denied_packets_told_total{direction="ingress"}'), 1);
});

test('Denials tells of a connection once a minute, with how often it was tried, and of a pair by one event', async () => {
  const { clock, events, lines, hear } = setUp();
  await hear(packet(), packet(), packet({ port: 81 }), packet());
  assert.deepEqual(
    lines.map(({ port, more }) => [port, more]),
    [
      ['TCP/80', 0],
      ['TCP/81', 0],
    ],
  );
  assert.equal(events.length, 1);
  await clock.advance(QUIET_MS - 1);
  await hear(packet());
  assert.deepEqual([lines.length, events.length], [2, 1]);
  await clock.advance(1);
  await hear(packet());
  assert.deepEqual([lines.length, events.length, lines.at(-1)?.more], [3, 2, 3]);
});

test('Denials names hosts, and protocols without ports', async () => {
  const { lines, hear } = setUp();
  const some: Partial<LoggedPacket>[] = [
    { src: '192.168.99.12' as Address, protocol: 1, ports: undefined },
    { src: '203.0.113.7' as Address, protocol: 47, ports: undefined },
    { src: CLIENT_IP, protocol: undefined, ports: undefined },
  ];
  await hear(...some.map((each) => packet(each)));
  assert.deepEqual(
    lines.map((line) => [(line as unknown as { from: string }).from, line.port]),
    [
      ['host minion2', 'ICMP'],
      ['203.0.113.7', 'protocol 47'],
      ['tenant-b/10.2.32.7', 'unknown'],
    ],
  );
});

test('Denials records no event of what policy, changed since, allows, of pods that are gone, and of what is not ours', async () => {
  const { events, lines, hear, change } = setUp();
  await hear(packet({ prefix: 'somebody else' }), packet({ dst: '10.1.18.9' as Address }));
  assert.deepEqual(lines, []);
  change(snapshotOf({ pods: [BACKEND], isolated: { 'tenant-a': false } }));
  await hear(packet());
  assert.deepEqual(events, []);
  assert.deepEqual(
    lines.map(({ message }) => message),
    ['a connection was denied that policy, which has changed since, allows'],
  );
});

test('Denials takes the uid of a static pod from the API server', async () => {
  const leases = WORLD.leases.map((lease) => Object.assign({}, lease, { uid: 'hash' }));
  const { events, hear } = setUp({ ...WORLD, leases });
  await hear(packet());
  assert.equal(events[0]?.object.uid, 'tenant-a/backend');
});

test('Denials bounds what a scan costs the API server, and leaves other pods their events', async () => {
  const pods = Array.from({ length: 12 }, (_, n) => ({ ...BACKEND, name: `pod${n}`, endpoint: 3 + n }));
  const { clock, events, hear, counted } = setUp(snapshotOf({ pods }));
  const scan = Array.from({ length: 200 }, (_, n) => packet({ src: outside(n) }));
  await hear(...scan);
  assert.equal(events.length, 10, 'of one pod');
  assert.equal(await counted('romana_agent_denied_events_total{result="left out"}'), 190);
  await hear(packet({ dst: '10.1.18.4' as Address }));
  assert.equal(events.length, 11, 'of another one');
  await hear(
    ...pods.flatMap((_, pod) =>
      scan.slice(0, 20).map(({ src }) => packet({ src, dst: fromBits(4, 0x0a011203n + BigInt(pod)) })),
    ),
  );
  assert.equal(events.length, 40, 'of all');
  await clock.advance(60_000);
  await hear(...scan.slice(0, 100));
  assert.ok(events.length <= 40 + 20);
});

test('Denials tells of no pair twice in a minute, whatever comes', async () => {
  const action = fc.oneof(
    fc.record({ from: fc.nat(5), port: fc.nat(3) }),
    fc.record({ wait: fc.integer({ min: 1, max: 50_000 }) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 60 }), async (actions) => {
      const { clock, events, hear } = setUp();
      const last = new Map<string, number>();
      for (const each of actions) {
        if ('wait' in each) {
          await clock.advance(each.wait);
          continue;
        }
        const before = events.length;
        const src = outside(each.from);
        await hear(packet({ src, port: each.port }));
        if (events.length === before) continue;
        assert.ok(clock.now() - (last.get(src) ?? -Infinity) >= QUIET_MS);
        last.set(src, clock.now());
      }
    }),
    { numRuns: 30 },
  );
});
