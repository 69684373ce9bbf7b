import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { hostInterfaceName } from '../../src/agent/attachment-names.ts';
import { POD_LINK_GROUP } from '../../src/kernel/pod-wiring.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { TestNetns } from '../support/netns.ts';
import { Rig } from '../support/rig.ts';
import type { RigHost } from '../support/rig-host.ts';
import type { RigPod } from '../support/rig-pod.ts';

const NAMESPACE = 'a';
const LEASES = '/run/romana/leases';
/** Not ours, however much it looks like it: the name, the protocol number, the group, the addresses. */
const FOREIGN = [
  'link add roma0123456789a type veth peer name other0',
  `link add other1 type veth peer name other2`,
  `link set other1 group ${POD_LINK_GROUP}`,
  `link add roma0123456789b type bridge`,
  `link set roma0123456789b group ${POD_LINK_GROUP}`,
  'link set other1 up',
  'link set other2 up',
  'address add 198.51.100.1/24 dev other1',
  'route add 10.9.0.0/16 via 198.51.100.2 proto static',
  'route add 10.0.17.200/32 dev other1 proto 83',
  'route add blackhole 10.8.0.0/16',
  'route add 10.7.0.0/16 via 198.51.100.2 proto 82 table 100',
  '-6 route add fd00:10:0:0:9::/80 dev other1 proto static',
  'rule add from 198.51.100.0/24 lookup 100 protocol 82',
  'neighbour add 198.51.100.2 lladdr 02:00:00:00:00:02 nud permanent dev other1',
];

const linkOf = ({ containerId }: RigPod): string => hostInterfaceName({ containerId, ifname: 'eth0' });

void describe('what is left behind while no agent runs', () => {
  let rig: Rig;
  let host: RigHost;

  before(async () => {
    rig = await Rig.start({ hosts: 1 });
    host = rig.host(0);
    await rig.namespace(NAMESPACE);
    for (const command of FOREIGN) await host.ns.run(['ip', ...command.split(' ')] as ['ip', ...string[]]);
    await host.ns.run(['nft', 'table inet romana-like { chain c { counter; } ; }']);
  });
  after(() => rig[Symbol.asyncDispose]());

  /** What `state` has, and all that it leaves out. */
  async function everything(): Promise<string> {
    const listed = await Promise.all(
      [['rule'], ['-4', 'route', 'show', 'table', 'all'], ['-6', 'route', 'show', 'table', 'all'], ['-br', 'link']].map(
        (words) => host.ns.run(['ip', ...words]),
      ),
    );
    listed.push(await host.ns.run(['nft', 'list', 'tables']));
    // In an order that says nothing.
    return [host.state(), ...listed.map((text) => text.split('\n').sort().join('\n'))].join('\n');
  }

  void test('R10: an agent that starts sweeps its own stale routes, rules, links and leases, and only its own', async (t) => {
    const stays = await rig.pod({ namespace: NAMESPACE, name: 'stays' });
    await rig.settled();
    const atRest = await everything();
    const sandbox = TestNetns.create('gone');
    t.after(() => sandbox[Symbol.asyncDispose]());
    const gone = await rig.newPod({ namespace: NAMESPACE, name: 'gone', sandbox });
    const lost = await rig.newPod({ namespace: NAMESPACE, name: 'lost' });
    for (const pod of [gone, lost]) await pod.add();
    await rig.settled();
    const [address] = gone.addresses;
    await host.stopAgent('SIGKILL');
    // Its sandbox goes, and its link with it; nobody calls DEL.
    await sandbox[Symbol.asyncDispose]();
    await waitFor('the kernel to take the link away', () => !host.state().includes(`${linkOf(gone)}@`));
    // The lease goes, and its link stays.
    rmSync(host.path(join(LEASES, `${linkOf(lost)}.json`)));
    for (const command of [
      'route add 10.77.0.0/16 via 192.168.99.77 proto 82',
      '-6 route add fd00:10:0:0:77::/80 via fd00:99::77 proto 82',
      'route add blackhole 10.78.0.0/16 proto 82',
    ]) {
      await host.ns.run(['ip', ...command.split(' ')] as ['ip', ...string[]]);
    }
    await host.ns.run(['nft', 'add chain inet romana stale; add rule inet romana forward jump stale']);
    const before = await everything();
    for (const part of [linkOf(lost), String(address), '10.77.0.0/16', 'fd00:10:0:0:77::/80', 'jump stale']) {
      assert.ok(before.includes(part), `${part} is in ${before}`);
    }

    await host.startAgent(rig.api.kubeconfig);
    await waitFor('all that is stale to be gone', async () => (await everything()) === atRest).catch(async () =>
      assert.equal(await everything(), atRest),
    );
    assert.deepEqual(readdirSync(host.path(LEASES)), [`${linkOf(stays)}.json`]);
    assert.equal(await rig.reach(host, stays, 'tcp', 80), 'open');
    const metrics = await host.metrics();
    assert.equal(metrics.get('romana_agent_repairs_total{what="links"}'), 1);
    assert.equal(metrics.get('romana_agent_attachments_collected_total'), 1);
    for (const line of [
      'removed a link of ours that no lease knows',
      'removes a route of ours that nobody wants any more',
      'freed an attachment whose sandbox is gone',
    ]) {
      assert.ok(host.log.includes(line), `${line} is in ${host.log}`);
    }
  });

  void test('R10: a link whose lease cannot be read stays, shut off, until its DEL', async () => {
    const pod = await rig.pod({ namespace: NAMESPACE, name: 'damaged' });
    await host.stopAgent('SIGKILL');
    await host.ns.run(['sh', '-c', `echo no-json >"${host.path(join(LEASES, `${linkOf(pod)}.json`))}"`]);
    await host.startAgent(rig.api.kubeconfig);
    assert.ok(host.state().includes(`${linkOf(pod)}@`));
    assert.ok(!host.state().includes(`"${linkOf(pod)}" . `), 'no address passes the spoof check by it');
    await pod.del();
    await waitFor('its link to be gone', () => !host.state().includes(`${linkOf(pod)}@`));
  });
});
