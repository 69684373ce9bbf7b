import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { TableMonitor } from '../../src/kernel/table-monitor.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { EVENTS } from '../../src/objects/resources.ts';
import { TABLE } from '../../src/plan/ruleset-builder.ts';
import { Rig } from '../support/rig.ts';
import type { RigHost } from '../support/rig-host.ts';
import type { RigPod } from '../support/rig-pod.ts';

const NAMESPACE = 'a';
/** What R36 allows, in milliseconds. */
const REPAIR_MS = 100;
/** On a busy machine a process may have to wait for its turn that long by itself. */
const ATTEMPTS = 5;
const REPAIRS = (what: string): string => `romana_agent_repairs_total{what="${what}"}`;

void describe('what others break in the kernel', () => {
  let rig: Rig;
  let one: RigHost;
  let here: RigPod;
  let beside: RigPod;
  let there: RigPod;

  before(async () => {
    rig = await Rig.start();
    one = rig.host(0);
    await rig.namespace(NAMESPACE, { isolated: true });
    await rig.policy(NAMESPACE, 'pol1', {
      podSelector: { segment: 's' },
      allowIncoming: { from: [{ pods: { segment: 's' } }], toPorts: [{ port: 80, protocol: 'TCP' }] },
    });
    const labels = { segment: 's' };
    [here, beside, there] = await Promise.all([
      rig.pod({ namespace: NAMESPACE, name: 'here', labels }),
      rig.pod({ namespace: NAMESPACE, name: 'beside', labels }),
      rig.pod({ namespace: NAMESPACE, name: 'there', labels, host: 1 }),
    ]);
    await rig.settled();
  });
  after(() => rig[Symbol.asyncDispose]());

  const repairs = async (what: string, host = one): Promise<number> => (await host.metrics()).get(REPAIRS(what)) ?? 0;

  /** That pods here and there reach each other where policy lets them, and nowhere else. */
  async function assertEnforced(what: string): Promise<void> {
    for (const [from, to] of [
      [there, here],
      [here, there],
      [beside, here],
    ] as const) {
      assert.equal(await rig.reach(from, to, 'tcp', 80), 'open', what);
      assert.equal(await rig.reach(from, to, 'tcp', 81), 'dropped', what);
    }
    assert.equal(await rig.reach(one, here, 'tcp', 81), 'open', `${what}: the host and its own pod`);
  }

  /** `timeToRepair` of one attempt out of some in which the machine was not too busy. */
  async function assertMendedInTime(command: string): Promise<number> {
    const times: number[] = [];
    while (times.length < ATTEMPTS && !times.some((time) => time < REPAIR_MS)) times.push(await timeToRepair(command));
    assert.ok(Math.min(...times) < REPAIR_MS, `${command}: ${times.map(Math.round).join(', ')} ms`);
    return times.length;
  }

  /** Has `nft` run `command` on host 1; after how many milliseconds our table was whole again, by the kernel's word. */
  async function timeToRepair(command: string): Promise<number> {
    const changes: { readonly by: string; readonly at: number }[] = [];
    const monitor = new TableMonitor({
      table: TABLE,
      netns: one.ns.path,
      onChanged: (by) => changes.push({ by: by?.name ?? '', at: performance.now() }),
    });
    try {
      await one.ns.run(['nft', command]);
      // The agent may have changed something of its own before.
      const broken = await waitFor(`"${command}" to be heard`, () => changes.find(({ by }) => by === 'nft'));
      const mended = await waitFor(
        `the table to come back after "${command}"`,
        () => changes[changes.indexOf(broken) + 1],
      );
      assert.notEqual(mended.by, 'nft');
      return mended.at - broken.at;
    } finally {
      monitor.close();
    }
  }

  void test('R36: our table comes back within 100 ms, whatever of it others take or add, with an event and a metric', async () => {
    await one.ns.run(['nft', 'table inet other { chain c { counter; } ; }']);
    const atRest = one.state();
    assert.ok(atRest.includes('jump in-'), atRest);
    const earlier = await repairs('table');
    const commands = [
      'flush ruleset',
      `delete table inet ${TABLE}`,
      `flush table inet ${TABLE}`,
      `flush chain inet ${TABLE} forward`,
      `delete element inet ${TABLE} endpoints4 { ${/"roma[0-9a-f]{11}" \. [0-9.]+/.exec(atRest)?.[0]} }`,
      `insert rule inet ${TABLE} forward accept`,
      `add chain inet ${TABLE} theirs`,
    ];
    let times = 0;
    for (const command of commands) {
      times += await assertMendedInTime(command);
      assert.equal(one.state(), atRest, command);
    }
    assert.equal((await repairs('table')) - earlier, times);
    await assertEnforced('after all that');
    const event = await waitFor('an event on the Host', async () => {
      const { items } = await rig.api.client.list(EVENTS);
      return (items as { reason?: string; involvedObject?: object; message?: string; count?: number }[]).find(
        ({ reason, count }) => reason === 'RulesPutBack' && (count ?? 0) >= commands.length,
      );
    });
    const about = event.involvedObject as { kind?: string; name?: string };
    assert.deepEqual([about.kind, about.name], ['Host', one.name]);
    assert.match(event.message ?? '', /inet romana was changed on the node by nft/);
  });

  void test('R36: a flush under load is mended as quickly, cuts what was let in meanwhile, and loses no rule of new pods', async () => {
    const forbidden = await there.probe.stream(here.address(4), 81, { everyMs: 1, answerMs: 200 });
    for (let round = 0; round < 2; round += 1) {
      const names = Array.from({ length: 3 }, (_, n) => `load${round}-${n}`);
      const pods = names.map((name) => rig.pod({ namespace: NAMESPACE, name, labels: { segment: 's' } }));
      await assertMendedInTime('flush ruleset');
      const made = await Promise.all(pods);
      for (const pod of made) assert.equal(await rig.reach(there, pod, 'tcp', 81), 'dropped');
      await Promise.all(made.map((pod) => rig.remove(pod)));
    }
    await assertEnforced('after flushes under load');
    const { echoed } = await forbidden.stop();
    const again = await there.probe.stream(here.address(4), 81, { everyMs: 1, answerMs: 50 });
    await assertEnforced('while forbidden packets are sent');
    const later = await again.stop();
    assert.ok(later.sent > 0);
    assert.equal(later.echoed + later.connected, 0, `${echoed} had passed while the table was gone`);
  });

  void test("R36: others' tables are neither looked at nor touched, and our own changes are no reason to repair", async () => {
    const wholes = 'romana_agent_nft_transactions_total{kind="whole"}';
    const before = await one.metrics();
    await one.ns.run(['nft', 'table ip romana { chain c { counter; } ; }']);
    await one.ns.run(['nft', 'table inet romana2 { chain c { counter; } ; }']);
    await one.ns.run(['nft', 'delete table ip romana']);
    await rig.policy(NAMESPACE, 'pol2', { podSelector: { segment: 't' }, allowIncoming: {} });
    const pod = await rig.pod({ namespace: NAMESPACE, name: 'passing', labels: { segment: 't' } });
    await rig.remove(pod);
    await rig.deletePolicy(NAMESPACE, 'pol2');
    await rig.settled();
    assert.ok((await one.ns.run(['nft', 'list tables'])).includes('table inet romana2'));
    // A change of ours that is heard of comes after all of those.
    await timeToRepair(`add chain inet ${TABLE} theirs`);
    const now = await one.metrics();
    assert.equal((now.get(wholes) ?? 0) - (before.get(wholes) ?? 0), 1);
    assert.equal((now.get(REPAIRS('table')) ?? 0) - (before.get(REPAIRS('table')) ?? 0), 1);
  });

  /** What a network daemon gives back to an interface: the machine's own addresses and its way out. */
  async function configure(host: RigHost, dev: string): Promise<void> {
    const [four, six] = host.addresses;
    const script = [
      `ip address replace ${four}/24 dev ${dev}`,
      `ip address replace ${six}/64 dev ${dev}`,
      'ip route replace default via 192.168.99.1',
      'ip route replace ::/0 via fd00:99::1',
    ];
    await host.ns.run(['sh', '-ec', script.join('\n')]);
    // It also tells everybody by gratuitous ARP whose address it is.
    for (const ns of [rig.fabric, rig.host(1).ns]) {
      for (const address of host.addresses) {
        await ns.run(['ip', 'neighbour', 'flush', 'to', address]);
      }
    }
  }

  async function assertComesBack(what: string, atRest: string): Promise<void> {
    await waitFor(`all to be as it was after ${what}`, () => one.state() === atRest).catch(() =>
      assert.equal(one.state(), atRest, what),
    );
    await assertEnforced(what);
  }

  void test('R22: routes come back after a flap of the uplink, and after its addresses are taken and given back', async () => {
    const atRest = one.state();
    await one.ns.run(['sh', '-ec', 'ip link set eth0 down; ip link set eth0 up']);
    await configure(one, 'eth0');
    await assertComesBack('a flap', atRest);
    await one.ns.run(['ip', 'address', 'flush', 'dev', 'eth0', 'scope', 'global']);
    assert.equal(await beside.probe.tcp(here.address(4), 80, { timeoutMs: 5_000 }), 'open', 'it needs no uplink');
    await configure(one, 'eth0');
    await assertComesBack('no address', atRest);
    assert.ok((await repairs('routes')) > 0);
  });

  void test('R22: routes, neighbours and forwarding come back when a network daemon or a hand removes them', async () => {
    const atRest = one.state();
    const link = /^(roma[0-9a-f]{11})@/m.exec(atRest)?.[1];
    assert.ok(link !== undefined);
    const breaks = [
      'ip route flush proto 82; ip -6 route flush proto 82',
      'ip route flush table main; ip -6 route flush table main',
      `ip route replace ${here.address(4)}/32 via 192.168.99.1 proto static`,
      `ip route del blackhole 10.0.0.0/16 proto 82 || ip route del blackhole 10.1.0.0/16 proto 82`,
      `ip link set ${link} down; ip link set ${link} up`,
      `ip neighbour flush nud permanent; ip -6 neighbour flush nud permanent`,
    ];
    for (const command of breaks) {
      await one.ns.run(['sh', '-ec', command]);
      if (command.includes('table main')) {
        await one.ns.run(['sh', '-ec', 'ip link set eth0 down; ip link set eth0 up']);
        await configure(one, 'eth0');
      }
      await assertComesBack(command, atRest);
    }
    for (const name of ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding', 'net.ipv4.conf.eth0.forwarding']) {
      await one.ns.run(['sysctl', '-qw', `${name}=0`]);
      await waitFor(`${name} to be on`, async () => (await one.ns.run(['sysctl', '-n', name])).trim() === '1');
      await assertEnforced(name);
    }
    assert.ok((await repairs('neighbours')) > 0);
    assert.ok((await repairs('forwarding')) >= 3);
  });

  void test('R22: the uplink may have no address when the agent starts, and may be another interface later', async (t) => {
    const atRest = one.state();
    await one.stopAgent();
    await one.ns.run(['ip', 'address', 'flush', 'dev', 'eth0', 'scope', 'global']);
    // The API server is reached by another address than the node's own.
    await one.ns.run(['ip', 'address', 'add', '192.168.99.200/24', 'dev', 'eth0']);
    await one.startAgent(rig.api.kubeconfig);
    await one.ns.run(['ip', 'address', 'del', '192.168.99.200/24', 'dev', 'eth0']);
    await configure(one, 'eth0');
    await assertComesBack('a late address', atRest);

    t.after(async () => {
      await one.ns.run(['sh', '-ec', 'ip link del eth1; ip link set eth0 up']);
      await configure(one, 'eth0');
    });
    await rig.fabric.run(['ip', 'link', 'add', 'second', 'type', 'veth', 'peer', 'name', 'eth1', 'netns', one.ns.name]);
    await rig.fabric.run(['ip', 'link', 'set', 'second', 'master', 'br0', 'up']);
    await one.ns.run(['ip', 'address', 'flush', 'dev', 'eth0', 'scope', 'global']);
    await one.ns.run(['sh', '-ec', 'ip link set eth0 down; ip link set eth1 up']);
    await configure(one, 'eth1');
    await waitFor('routes by the new uplink', async () => {
      const [four, six] = await Promise.all(
        ['-4', '-6'].map((family) => one.ns.run(['ip', family, 'route', 'show', 'proto', '82', 'dev', 'eth1'])),
      );
      return four !== '' && six !== '';
    });
    await assertEnforced('another uplink');
  });
});
