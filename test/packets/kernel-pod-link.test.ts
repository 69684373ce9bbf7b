import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { addAddress } from '../../src/kernel/addresses.ts';
import { checkPod } from '../../src/kernel/check-pod.ts';
import { isKernelError } from '../../src/kernel/kernel-error.ts';
import { LinkRemover } from '../../src/kernel/link-remover.ts';
import { netnsInode } from '../../src/kernel/netns.ts';
import { detachPod, preparePod, unwirePod, wirePod } from '../../src/kernel/pod-link.ts';
import { sysctls } from '../../src/kernel/sysctl.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { addr, makeHost, makePod, wiringOf } from '../support/netns-pods.ts';
import type { Host, Pod } from '../support/netns-pods.ts';
import { Probe } from '../support/probe.ts';
import { TestNetns } from '../support/netns.ts';

const ROUNDS = 20;

/** A host with addresses of its own, and a pod that is not wired yet. */
async function hostAndPod(t: TestContext): Promise<{ host: Host; pod: Pod; onHost: Probe }> {
  const [host, pod] = await Promise.all([makeHost(t, 'host'), makePod(t, 1, 3)]);
  host.rtnl.apply(addAddress(1, addr('192.0.2.1')), addAddress(1, addr('2001:db8::1')));
  const onHost = await Probe.start(host.ns);
  await onHost.listenUdp(53);
  return { host, pod, onHost };
}

test('wirePod lets the first packet through, in both directions and families, without a delay', async (t) => {
  const { host, pod, onHost } = await hostAndPod(t);
  for (let round = 0; round < ROUNDS; round += 1) {
    host.ns.inside(() => wirePod(host.rtnl, pod.wiring));
    // One datagram each, which nobody would send again.
    const results = await Promise.all([
      pod.probe.udp('192.0.2.1', 53),
      pod.probe.udp('2001:db8::1', 53),
      ...pod.wiring.addresses.map((address) => onHost.udp(address, 53)),
    ]);
    assert.deepEqual(results, ['open', 'open', 'open', 'open'], `round ${round}`);
    unwirePod(host.rtnl, pod.wiring.hostInterface);
  }
});

test('wirePod makes what checkPod finds complete, and unwirePod leaves nothing', async (t) => {
  const { host, pod } = await hostAndPod(t);
  const before = { links: host.rtnl.links(), routes: host.rtnl.routes(), neighbours: host.rtnl.neighbours() };
  host.ns.inside(() => wirePod(host.rtnl, pod.wiring));
  assert.deepEqual(checkPod(host.rtnl, pod.wiring), []);
  const settings = host.ns.inside(() =>
    ['ipv6/conf/romapod3/accept_ra', 'ipv6/conf/romapod3/accept_redirects', 'ipv4/conf/romapod3/proxy_arp'].map(
      (path) => sysctls.read(`net/${path}`),
    ),
  );
  assert.deepEqual(settings, ['0', '0', '0']);
  const onHost = host.rtnl.addresses().filter(({ index }) => index === host.rtnl.link('romapod3')?.index);
  assert.deepEqual(onHost, [], 'the host end has no address, not even a link-local one');

  unwirePod(host.rtnl, pod.wiring.hostInterface);
  unwirePod(host.rtnl, pod.wiring.hostInterface);
  const after = { links: host.rtnl.links(), routes: host.rtnl.routes(), neighbours: host.rtnl.neighbours() };
  assert.deepEqual(after, before);
});

test('checkPod names every difference from the wiring', async (t) => {
  const { host, pod } = await hostAndPod(t);
  host.ns.inside(() => wirePod(host.rtnl, pod.wiring));
  await host.ns.run(['ip', 'link', 'set', 'romapod3', 'mtu', '1300']);
  await host.ns.run(['ip', 'route', 'delete', '10.1.17.3']);
  await host.ns.run(['ip', 'neighbour', 'delete', 'fd00:10::1:1:1:3', 'dev', 'romapod3']);
  await pod.ns.run(['ip', '-6', 'address', 'flush', 'dev', 'eth0', 'scope', 'global']);
  await pod.ns.run(['ip', 'route', 'delete', 'default']);
  const index = host.rtnl.link('romapod3')?.index;
  assert.deepEqual(checkPod(host.rtnl, pod.wiring), [
    "the host's romapod3 has the MTU 1300 in place of 1400",
    "the host's romapod3 lacks the permanent neighbour fd00:10::1:1:1:3 at 02:52:00:00:01:03",
    `the host lacks the route 10.1.17.3/32 dev ${index} proto 82`,
    "the pod's eth0 lacks the address fd00:10::1:1:1:3",
    'the pod lacks the route 0.0.0.0/0 via 10.1.0.1 dev 2 onlink proto 4',
  ]);
  await pod.ns.run(['ip', 'link', 'delete', 'eth0']);
  assert.deepEqual(checkPod(host.rtnl, pod.wiring), [
    'the host has no interface romapod3',
    'the pod has no interface eth0',
  ]);
});

test('preparePod lets no packet through before up, and all after it', async (t) => {
  const { host, pod, onHost } = await hostAndPod(t);
  const [address4 = '', address6 = ''] = pod.wiring.addresses;
  const floods = await Promise.all([onHost.flood(address4, 53), onHost.flood(address6, 53)]);
  const prepared = host.ns.inside(() => preparePod(host.rtnl, pod.wiring));
  assert.deepEqual(await onHost.udp(address4, 53, { timeoutMs: 50 }), 'unreachable');
  assert.deepEqual(await onHost.udp(address6, 53, { timeoutMs: 50 }), 'unreachable');
  assert.equal(await pod.probe.udp('192.0.2.1', 53, { timeoutMs: 50 }), 'timeout');
  assert.equal((await pod.probe.received('udp', 53)).size, 0);
  prepared.up();
  await waitFor('both floods to arrive', async () => (await pod.probe.received('udp', 53)).size === 2);
  await Promise.all(floods.map((flood) => flood.stop()));
});

test('preparePod leaves nothing on the host when a step fails', async (t) => {
  const { host, pod } = await hostAndPod(t);
  const links = host.rtnl.links();
  const wire = (change: object) => (): void => host.ns.inside(() => wirePod(host.rtnl, { ...pod.wiring, ...change }));
  const own = netnsInode();

  await pod.ns.run(['ip', 'link', 'add', 'eth0', 'type', 'bridge']);
  assert.throws(wire({}), (error) => isKernelError(error, 'EEXIST'));
  assert.throws(wire({ ifname: 'eth1', gateways: [addr('127.0.0.1')] }), (error) => isKernelError(error));
  assert.throws(wire({ netnsPath: '/proc/self/status' }), (error) => isKernelError(error, 'EINVAL'));
  assert.throws(wire({ netnsPath: '/run/netns/rt-absent' }), /ENOENT/);
  assert.deepEqual(host.rtnl.links(), links);
  assert.equal(netnsInode(), own, 'the process is in its own namespace');

  await pod.ns.run(['ip', 'link', 'delete', 'eth0']);
  host.ns.inside(() => preparePod(host.rtnl, pod.wiring).abort());
  assert.deepEqual(host.rtnl.links(), links);
  wire({})();
  assert.deepEqual(checkPod(host.rtnl, pod.wiring), []);
});

test('wirePod switches IPv6 on where the runtime switched it off', async (t) => {
  const { host, pod, onHost } = await hostAndPod(t);
  await pod.ns.run(['sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=1']);
  host.ns.inside(() => wirePod(host.rtnl, pod.wiring));
  assert.equal(await onHost.udp('fd00:10::1:1:1:3', 53), 'open');
});

test('detachPod stops traffic at once and LinkRemover removes many interfaces together', async (t) => {
  const host = await makeHost(t, 'host');
  const links = host.rtnl.links();
  const pods = Array.from({ length: 5 }, (_, index) => {
    const ns = TestNetns.create(`pod${index}`);
    t.after(() => ns[Symbol.asyncDispose]());
    return wiringOf(ns, 1, 3 + index);
  });
  for (const pod of pods) host.ns.inside(() => wirePod(host.rtnl, pod));
  const remover = LinkRemover.open({ netns: host.ns.path });
  const removals = pods.map((pod) => {
    detachPod(host.rtnl, pod);
    assert.equal(host.rtnl.link(pod.hostInterface)?.up, false);
    return remover.remove(pod.hostInterface);
  });
  assert.deepEqual(host.rtnl.routes({ protocol: 82 }), []);
  await Promise.all([...removals, remover.remove('romaabsent')]);
  assert.deepEqual(host.rtnl.links(), links);
  await remover.close();
  for (const pod of pods) detachPod(host.rtnl, pod);
});

test('wiring and unwiring: how long each part takes', async (t) => {
  const { host, pod } = await hostAndPod(t);
  const times = new Map<string, number[]>();
  const time = (what: string, act: () => void): void => {
    const start = performance.now();
    act();
    times.set(what, [...(times.get(what) ?? []), performance.now() - start]);
  };
  host.ns.inside(() => {
    for (let round = 0; round < ROUNDS; round += 1) {
      time('wirePod', () => wirePod(host.rtnl, pod.wiring));
      time('checkPod', () => checkPod(host.rtnl, pod.wiring));
      time('detachPod', () => detachPod(host.rtnl, pod.wiring));
      time('unwirePod', () => unwirePod(host.rtnl, pod.wiring.hostInterface));
    }
  });
  for (const [what, all] of times) {
    const sorted = all.toSorted((a, b) => a - b);
    t.diagnostic(`${what}: median ${sorted[ROUNDS / 2]?.toFixed(2)} ms, min ${sorted[0]?.toFixed(2)} ms`);
  }
});
