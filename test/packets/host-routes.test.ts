import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { HostRoutes, type HostRoutesOptions } from '../../src/agent/host-routes.ts';
import { enableForwarding, findUnderlay } from '../../src/agent/underlay.ts';
import { formatRoute } from '../../src/kernel/routes.ts';
import { silentLog } from '../../src/lib/log.ts';
import type { DesiredRoute } from '../../src/plan/routes.ts';
import { addr, cidr, type Host, makeHost } from '../support/netns-pods.ts';

const OTHER: DesiredRoute = { kind: 'unicast', dst: cidr('10.2.0.0/16'), via: addr('192.0.2.2') };
const OWN: DesiredRoute = { kind: 'blackhole', dst: cidr('10.1.0.0/16') };
const POD: DesiredRoute = { kind: 'unicast', dst: cidr('10.1.17.3/32'), dev: 'romatest1' };

/** A host with an uplink, one pod's link, and routes: one of ours that is stale, two of others. */
async function host(t: TestContext): Promise<Host> {
  const made = await makeHost(t, 'routes');
  const commands = [
    'link add up0 type bridge',
    'address add 192.0.2.1/24 dev up0',
    'address add 2001:db8::1/64 dev up0 nodad',
    'link set up0 mtu 1400 up',
    'link add romatest1 type bridge',
    'link set romatest1 up',
    'route add 10.9.0.0/16 via 192.0.2.9 proto 82',
    'route add 10.8.0.0/16 via 192.0.2.8 proto static',
    'route add blackhole 10.7.0.0/16',
  ];
  for (const command of commands) await made.ns.run(['ip', ...command.split(' ')]);
  return made;
}

const routesOf = ({ rtnl }: Host, options: Partial<HostRoutesOptions> = {}): HostRoutes =>
  new HostRoutes({ rtnl, log: silentLog, onChange: () => undefined, onRepair: () => undefined, ...options });

const ours = ({ rtnl }: Host): string[] => rtnl.routes({ protocol: 82 }).map(formatRoute).toSorted();

test('HostRoutes.apply sweeps our stale routes at the start, and only ours', async (t) => {
  const made = await host(t);
  let changes = 0;
  const routes = routesOf(made, { onChange: () => (changes += 1) });
  assert.deepEqual(routes.apply([OTHER, OWN, POD]), []);
  const listed = await made.ns.run(['ip', 'route']);
  assert.match(listed, /^10\.2\.0\.0\/16 via 192\.0\.2\.2 .*proto 82/m);
  assert.match(listed, /^blackhole 10\.1\.0\.0\/16 proto 82/m);
  assert.match(listed, /^10\.1\.17\.3 dev romatest1 proto 82/m);
  assert.match(listed, /^10\.8\.0\.0\/16 via 192\.0\.2\.8/m);
  assert.match(listed, /^blackhole 10\.7\.0\.0\/16/m);
  assert.doesNotMatch(listed, /10\.9\.0\.0/);
  const before = changes;
  assert.deepEqual(routes.apply([OTHER, OWN, POD]), []);
  assert.equal(changes, before, 'the same again changes nothing');
});

test('HostRoutes.apply follows hosts that come, move and leave, and leaves pods to their links', async (t) => {
  const made = await host(t);
  const routes = routesOf(made);
  routes.apply([OWN, OTHER]);
  const three: DesiredRoute = { kind: 'unicast', dst: cidr('10.3.0.0/16'), via: addr('192.0.2.3') };
  routes.apply([OWN, { ...OTHER, via: addr('192.0.2.22') }, three, POD]);
  const listed = await made.ns.run(['ip', 'route']);
  assert.match(listed, /^10\.2\.0\.0\/16 via 192\.0\.2\.22 /m);
  assert.match(listed, /^10\.3\.0\.0\/16 via 192\.0\.2\.3 /m);
  assert.doesNotMatch(listed, /10\.1\.17\.3/);
  routes.apply([OWN]);
  assert.equal(ours(made).length, 1);
});

test('HostRoutes.apply says which route the kernel refuses, sets the others, and tries again', async (t) => {
  const made = await host(t);
  const routes = routesOf(made);
  const far: DesiredRoute = { kind: 'unicast', dst: cidr('10.4.0.0/16'), via: addr('203.0.113.4') };
  const refused = routes.apply([far, OWN, OTHER]);
  assert.equal(refused.length, 1);
  assert.match(String(refused[0]), /10\.4\.0\.0\/16/);
  assert.equal(ours(made).length, 2);
  await made.ns.run(['ip', 'route', 'add', '203.0.113.0/24', 'dev', 'up0']);
  assert.deepEqual(routes.apply([far, OWN, OTHER]), []);
  assert.equal(ours(made).length, 3);
});

test('findUnderlay takes the interfaces that hold the node addresses, and the smallest of their MTUs', async (t) => {
  const made = await host(t);
  const found = findUnderlay(made.rtnl, [addr('192.0.2.1'), addr('2001:db8::1')]);
  assert.deepEqual(found, { names: ['up0'], mtu: 1400 });
  assert.deepEqual(findUnderlay(made.rtnl, [addr('198.51.100.1')]), { names: [], mtu: 1500 });
});

test('enableForwarding keeps an uplink that learns its IPv6 default route learning it', async (t) => {
  const made = await host(t);
  await made.ns.run(['sysctl', '-qw', 'net.ipv4.ip_forward=0', 'net.ipv6.conf.all.forwarding=0']);
  await made.ns.run(['sysctl', '-qw', 'net.ipv6.conf.up0.accept_ra=1']);
  made.ns.inside(() => enableForwarding({ names: ['up0'], mtu: 1400 }));
  const read = (name: string): Promise<string> => made.ns.run(['sysctl', '-n', name]);
  assert.equal((await read('net.ipv6.conf.up0.accept_ra')).trim(), '2');
  assert.equal((await read('net.ipv4.ip_forward')).trim(), '1');
  assert.equal((await read('net.ipv6.conf.all.forwarding')).trim(), '1');
});
