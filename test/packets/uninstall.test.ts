import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { after, afterEach, before, describe, test } from 'node:test';
import { waitFor } from '../../src/lib/wait-for.ts';
import { Rig } from '../support/rig.ts';
import type { RigHost } from '../support/rig-host.ts';

const NAMESPACE = 'a';
/** As on a machine that is no router and takes its default route from one. */
const SYSCTLS = {
  'net.ipv4.ip_forward': '0',
  'net.ipv6.conf.all.forwarding': '0',
  'net.ipv6.conf.eth0.accept_ra': '1',
};
const FOREIGN = ['route add 10.9.0.0/16 dev eth0 proto static', 'link add roma0123456789b type bridge'];

void describe('what an uninstallation does on a host', () => {
  let rig: Rig;
  let host: RigHost;

  before(async () => {
    rig = await Rig.start({ hosts: 1 });
    host = rig.host(0);
    await rig.namespace(NAMESPACE);
    await host.stopAgent();
    await uninstall();
    for (const [name, value] of Object.entries(SYSCTLS)) await host.ns.run(['sysctl', '-qw', `${name}=${value}`]);
    for (const command of FOREIGN) await host.ns.run(['ip', ...command.split(' ')]);
    await host.ns.run(['nft', 'table inet others { chain c { counter; } ; }']);
  });
  // One that is left by a test that failed would hold what the next one needs.
  afterEach(() => host.stopAgent('SIGKILL'));
  after(() => rig[Symbol.asyncDispose]());

  /** Removes everything, to the end; `more` are further options. */
  async function uninstall(more: readonly string[] = []): Promise<void> {
    await host.startAgent(rig.api.kubeconfig, ['--uninstall', ...more]);
    await host.stopAgent();
  }

  /** All that an agent changes, in an order that says nothing. */
  async function everything(): Promise<string> {
    const commands = [
      ['ip', '-br', 'link'],
      ['ip', '-4', 'route', 'show', 'table', 'all'],
      ['ip', '-6', 'route', 'show', 'table', 'all'],
      ['ip', 'neighbour', 'show', 'nud', 'permanent'],
      ['nft', 'list', 'tables'],
      ['sysctl', ...Object.keys(SYSCTLS)],
    ] as const;
    const texts = await Promise.all(commands.map((command) => host.ns.run(command)));
    const files = ['/run/romana', '/etc/cni/net.d', '/opt/cni/bin'].map((folder) =>
      existsSync(host.path(folder)) ? readdirSync(host.path(folder)).join(' ') : '',
    );
    return [...texts.map((text) => text.split('\n').sort().join('\n')), ...files].join('\n');
  }

  void test('the host is as it was before the first agent, and what others made stays', async () => {
    const clean = await everything();
    await host.startAgent(rig.api.kubeconfig);
    const pod = await rig.pod({ namespace: NAMESPACE, name: 'p' });
    assert.equal(await rig.reach(host, pod, 'tcp', 80), 'open');
    const inUse = await everything();
    for (const part of ['inet romana', 'net.ipv4.ip_forward = 1', 'accept_ra = 2', '10-romana.conflist']) {
      assert.ok(inUse.includes(part), `${part} is in ${inUse}`);
    }
    // An agent that is started again finds everything switched on: what was there before is not forgotten.
    await host.stopAgent('SIGKILL');
    await host.startAgent(rig.api.kubeconfig);
    await rig.remove(pod);
    await host.stopAgent();
    await uninstall();
    assert.equal(await everything(), clean);
    await uninstall();
    assert.equal(await everything(), clean, 'a second time is no failure');
  });

  void test('R15: pods that are connected keep their network until their DEL, which is answered; none can come', async () => {
    const clean = await everything();
    await host.startAgent(rig.api.kubeconfig);
    const pods = [
      await rig.pod({ namespace: NAMESPACE, name: 'one' }),
      await rig.pod({ namespace: NAMESPACE, name: 'two' }),
    ];
    await host.stopAgent('SIGKILL');
    host.launchAgent(rig.api.kubeconfig, ['--uninstall']);
    await waitFor('it to wait', () => host.log.includes('waits for 2 pods to end: a/one, a/two'));
    for (const pod of pods) assert.equal(await rig.reach(host, pod, 'tcp', 80), 'open');
    const late = await rig.newPod({ namespace: NAMESPACE, name: 'late' });
    const refused = await late.call('ADD');
    assert.equal(refused.status, 1);
    assert.match(refused.json.msg ?? '', /Romana is being removed from this node/);
    assert.equal((await host.cni({ command: 'STATUS' })).json.code, 50);
    for (const pod of [...pods, late]) assert.equal((await pod.call('DEL')).status, 0);
    await host.agentReady();
    await host.stopAgent();
    assert.equal(await everything(), clean);
    for (const pod of [...pods, late]) await pod.forget();
  });

  void test('pods that stay lose their network when it is forced', async () => {
    const clean = await everything();
    await host.startAgent(rig.api.kubeconfig);
    const pod = await rig.pod({ namespace: NAMESPACE, name: 'stays' });
    await host.stopAgent();
    await uninstall(['--force-after', '0.3']);
    assert.ok(host.log.includes('takes the network away from pods that have not ended'), host.log);
    assert.equal(await everything(), clean);
    await pod.forget();
  });
});
