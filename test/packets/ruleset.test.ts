import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { waitFor } from '../../src/lib/wait-for.ts';
import { deltaText } from '../../src/nft/delta.ts';
import { replaceText } from '../../src/nft/text.ts';
import { plan } from '../../src/plan/desired.ts';
import type { Desired } from '../../src/plan/desired.ts';
import { pol1, POL1_SPEC, snapshotOf } from '../../src/plan/snapshot-fixture.ts';
import type { Fixture } from '../../src/plan/snapshot-fixture.ts';
import { RulesetNetwork } from './ruleset-network.ts';

const FIXTURE: Fixture = {
  isolated: { 'tenant-a': true, 'tenant-b': false },
  masquerade: true,
  pods: [
    { namespace: 'tenant-a', name: 'backend', labels: { segment: 'backend' }, host: 1, endpoint: 3 },
    { namespace: 'tenant-a', name: 'frontend', labels: { segment: 'frontend' }, host: 1, endpoint: 3 },
    { namespace: 'tenant-b', name: 'stranger', labels: { segment: 'frontend' }, host: 1, endpoint: 3 },
  ],
  policies: [pol1('tenant-a')],
};

/** Addresses in both families of who takes part. */
const ADDRESSES = {
  backend: ['10.1.18.3', 'fd00:10::1:1:2:3'],
  frontend: ['10.1.17.3', 'fd00:10::1:1:1:3'],
  stranger: ['10.1.33.3', 'fd00:10::1:2:1:3'],
  /** A frontend of tenant-a on host 2. */
  remote: ['10.2.17.3', 'fd00:10::2:1:1:3'],
  /** A machine with a frontend's bits in the range of no host. */
  machine: ['10.9.17.3', 'fd00:10::9:1:1:3'],
  outside: ['192.0.2.7', '2001:db8::7'],
} as const;
const WAIT_MS = 400;

describe('the planned ruleset on packets', () => {
  const desired = plan(snapshotOf(FIXTURE));
  let network: RulesetNetwork;
  let now: Desired = desired;

  /** Makes the node stand as planned for another fixture, by the delta from where it stands. */
  function change(fixture: Fixture): void {
    const next = plan(snapshotOf(fixture));
    const text = deltaText(now.ruleset, next.ruleset);
    if (text !== '') network.nft(text);
    now = next;
  }

  async function tcp(from: keyof typeof ADDRESSES, to: keyof typeof ADDRESSES, port: number): Promise<string> {
    const namespace = from in { backend: 1, frontend: 1, stranger: 1 } ? network.pod(from) : network.fabric;
    const prober = network.prober(namespace);
    const outcomes: unknown[] = [];
    for (const [index, source] of ADDRESSES[from].entries()) {
      outcomes.push(await prober.ask({ do: 'tcp', from: source, to: ADDRESSES[to][index], port, waitMs: WAIT_MS }));
    }
    assert.equal(outcomes[0], outcomes[1], `IPv4 and IPv6 differ from ${from} to ${to}:${port}`);
    return String(outcomes[0]);
  }

  function pings(from: 'frontend' | 'stranger', to: keyof typeof ADDRESSES): string {
    return ADDRESSES[from]
      .map((source, index) => network.ping(network.pod(from), source, ADDRESSES[to][index] ?? ''))
      .join();
  }

  before(async () => {
    network = new RulesetNetwork(snapshotOf(FIXTURE), [
      ...ADDRESSES.remote,
      ...ADDRESSES.machine,
      ...ADDRESSES.outside,
    ]);
    network.addRoutes(desired);
    network.nft(replaceText(desired.ruleset));
    for (const name of ['backend', 'stranger']) {
      await network.prober(network.pod(name)).ask({ do: 'serve', tcp: [80, 81], udp: [80] });
    }
  });
  after(() => network.close());

  test('pol1 opens exactly port 80 to frontends, on this host and on others', async () => {
    assert.equal(await tcp('frontend', 'backend', 80), 'open');
    assert.equal(await tcp('remote', 'backend', 80), 'open');
    assert.equal(await tcp('frontend', 'backend', 81), 'time-out');
    assert.equal(await tcp('remote', 'backend', 81), 'time-out');
  });

  test('R24: what pol1 does not open is dropped, not rejected, also where nobody listens', async () => {
    assert.equal(await tcp('stranger', 'backend', 80), 'time-out');
    assert.equal(await tcp('outside', 'backend', 80), 'time-out');
    assert.equal(await tcp('frontend', 'backend', 82), 'time-out');
    assert.equal(await tcp('frontend', 'stranger', 82), 'ECONNREFUSED');
    assert.equal(await tcp('frontend', 'stranger', 81), 'open');
  });

  test('R32: a machine with the bits of a segment but in the range of no host gets no right', async () => {
    assert.equal(await tcp('machine', 'stranger', 80), 'open');
    assert.equal(await tcp('machine', 'backend', 80), 'time-out');
  });

  test('R21: ping is policed like everything else, and passes where a policy names no ports', () => {
    assert.equal(pings('frontend', 'backend'), 'false,false');
    assert.equal(pings('frontend', 'stranger'), 'true,true');
    const { from } = POL1_SPEC.allowIncoming;
    change({ ...FIXTURE, policies: [pol1('tenant-a', { ...POL1_SPEC, allowIncoming: { from } })] });
    assert.equal(pings('frontend', 'backend'), 'true,true');
    assert.equal(pings('stranger', 'backend'), 'false,false');
    change(FIXTURE);
    assert.equal(pings('frontend', 'backend'), 'false,false');
  });

  test('R26: an edited policy, an edited label and isolation switched off and on take effect', async () => {
    const port81 = { ...POL1_SPEC.allowIncoming, toPorts: [{ port: 81, protocol: 'TCP' }] };
    change({ ...FIXTURE, policies: [pol1('tenant-a', { ...POL1_SPEC, allowIncoming: port81 })] });
    assert.equal(await tcp('frontend', 'backend', 80), 'time-out');
    assert.equal(await tcp('remote', 'backend', 81), 'open');
    change({ ...FIXTURE, isolated: { 'tenant-a': false, 'tenant-b': false } });
    assert.equal(await tcp('stranger', 'backend', 81), 'open');
    const [backend, frontend, stranger] = FIXTURE.pods ?? [];
    assert.ok(backend !== undefined && frontend !== undefined && stranger !== undefined);
    const relabelled = [backend, { ...frontend, labels: { segment: 'backend' }, leased: 'frontend' }, stranger];
    change({ ...FIXTURE, pods: relabelled });
    assert.equal(await tcp('frontend', 'backend', 80), 'time-out');
    assert.equal(await tcp('remote', 'backend', 80), 'open');
    change(FIXTURE);
    assert.equal(await tcp('frontend', 'backend', 80), 'open');
  });

  test("R31: what a pod sends under another pod's address reaches nobody, inside its open connections either", async () => {
    const udp = { ...POL1_SPEC.allowIncoming, toPorts: [{ port: 80, protocol: 'UDP' }] };
    change({ ...FIXTURE, policies: [pol1('tenant-a', { ...POL1_SPEC, allowIncoming: udp })] });
    for (const address of ADDRESSES.frontend) network.forge(network.pod('stranger'), address);
    const senders = ['frontend', 'stranger', 'frontend'] as const;
    const frontends = Array<string>(4).fill('frontend');
    assert.deepEqual(await heardFrom(senders, 'checked'), frontends);

    network.nft('flush chain inet romana raw\n');
    const unchecked = await heardFrom(senders, 'unchecked');
    assert.deepEqual(unchecked, [...frontends, 'stranger', 'stranger'], 'only the spoof check had stopped it');
    network.nft(replaceText(now.ruleset));
    change(FIXTURE);
  });

  test("R31: what comes from elsewhere under an address of this host's pods reaches nobody", async () => {
    const udp = { ...POL1_SPEC.allowIncoming, toPorts: [{ port: 80, protocol: 'UDP' }] };
    change({ ...FIXTURE, policies: [pol1('tenant-a', { ...POL1_SPEC, allowIncoming: udp })] });
    for (const address of ADDRESSES.frontend) network.forge(network.fabric, address);
    assert.deepEqual(await heardFrom(['fabric', 'frontend'], 'from-elsewhere'), ['frontend', 'frontend']);
    change(FIXTURE);
  });

  /** Lets them send datagrams to backend under frontend's addresses, and says whose arrived. */
  async function heardFrom(senders: readonly ('stranger' | 'frontend' | 'fabric')[], mark: string): Promise<string[]> {
    for (const sender of senders) {
      for (const [index, from] of ADDRESSES.frontend.entries()) {
        const text = `${mark} ${sender}`;
        const request = { do: 'udp', from, fromPort: 4000, to: ADDRESSES.backend[index], port: 80, text };
        assert.equal(
          await network.prober(sender === 'fabric' ? network.fabric : network.pod(sender)).ask(request),
          'sent',
        );
      }
    }
    const heard = async (): Promise<string[]> => {
      const lines = (await network.prober(network.pod('backend')).ask({ do: 'heard' })) as string[];
      return lines.filter((line) => line.split(' ')[1] === mark).map((line) => line.split(' ')[2] ?? '');
    };
    // One router in between, and no reordering: when the last sender's have arrived, whatever else will have too.
    const last = senders.at(-1);
    const sent = senders.filter((sender) => sender === last).length * ADDRESSES.frontend.length;
    await waitFor(
      'the last datagrams',
      async () => (await heard()).filter((sender) => sender === last).length === sent,
    );
    return (await heard()).sort();
  }

  test('masquerade shows outside the node, and other hosts and nodes the pod', async () => {
    const fabric = network.prober(network.fabric);
    await fabric.ask({ do: 'serve', tcp: [], udp: [5353] });
    const [, own6] = ADDRESSES.stranger;
    for (const [text, to] of [
      ['outside', '192.0.2.7'],
      ['pod', '10.2.17.3'],
      ['node', '192.168.99.12'],
    ] as const) {
      await network.prober(network.pod('stranger')).ask({ do: 'udp', from: '10.1.33.3', to, port: 5353, text });
    }
    await network
      .prober(network.pod('stranger'))
      .ask({ do: 'udp', from: own6, to: '2001:db8::7', port: 5353, text: 'outside6' });
    await waitFor('four datagrams', async () => ((await fabric.ask({ do: 'heard' })) as string[]).length === 4);
    assert.deepEqual(((await fabric.ask({ do: 'heard' })) as string[]).sort(), [
      '10.1.33.3 node',
      '10.1.33.3 pod',
      '192.168.99.11 outside',
      'fd00:99::11 outside6',
    ]);
  });
});
