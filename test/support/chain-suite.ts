import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test, type TestContext } from 'node:test';
import { processPlugin } from '../../src/lib/cni-plugin.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { type Attachment, CniRunner } from '../../src/local/runtime/cni-runner.ts';
import { Rig } from './rig.ts';
import type { RigHost } from './rig-host.ts';
import { passControls } from './rig-judge.ts';
import type { RigPod } from './rig-pod.ts';

const CHAINED = ['loopback', 'tuning', 'portmap', 'bandwidth'];
const NAMESPACE = 'a';
const HOST_PORT = 8_080;

/** A set of the standard plugins. */
export interface StandardPlugins {
  /** The CNI version that all of them speak. */
  readonly version: '1.0.0' | '1.1.0';
  /** Whose they are, for messages. */
  readonly name: string;
  /** Where they may be, the first choice first. */
  readonly folders: readonly string[];
}

/** One before ours and three after; `portmap` is to use what the operator has chosen. */
const chainOf = (backend: object): string =>
  JSON.stringify([
    { type: 'loopback' },
    { type: 'romana' },
    { type: 'tuning', sysctl: { 'net.ipv4.ip_default_ttl': '77' } },
    { type: 'portmap', capabilities: { portMappings: true }, ...backend },
    { type: 'bandwidth', capabilities: { bandwidth: true } },
  ]);

const CAPABILITIES = {
  portMappings: [{ hostPort: HOST_PORT, containerPort: 80, protocol: 'tcp' }],
  bandwidth: { ingressRate: 8_000_000, ingressBurst: 8_000_000, egressRate: 4_000_000, egressBurst: 4_000_000 },
};

/** A runtime of `host`, which calls the plugins as its processes do. */
function runtimeOf(t: TestContext, host: RigHost): CniRunner {
  const directory = mkdtempSync(join(tmpdir(), 'romana-chain-'));
  t.after(() => rmSync(directory, { recursive: true }));
  for (const type of ['romana', ...CHAINED]) {
    const script = `#!/bin/sh\nexec nsenter ${host.enter.join(' ')} /opt/cni/bin/${type}\n`;
    writeFileSync(join(directory, type), script, { mode: 0o755 });
  }
  return new CniRunner({
    configDirectory: host.path('/etc/cni/net.d'),
    pluginDirectories: [directory],
    cacheDirectory: join(directory, 'cache'),
    call: processPlugin({ PATH: '/usr/sbin:/usr/bin:/sbin:/bin' }),
  });
}

function attachmentOf({ namespace, name, uid, containerId, ns }: RigPod): Attachment {
  const args = [
    ['IgnoreUnknown', '1'],
    ['K8S_POD_NAMESPACE', namespace],
    ['K8S_POD_NAME', name],
    ['K8S_POD_UID', uid],
  ] as const;
  return { containerId, netns: ns.path, ifname: 'eth0', args, capabilities: CAPABILITIES };
}

/** What is in the host's firewall beside ours. */
function foreignTables(host: RigHost): string {
  const tables = host.run(['nft', 'list', 'tables']).stdout.trim().split('\n');
  const foreign = tables.filter((table) => table !== '' && table !== 'table inet romana');
  // Counters move with packets.
  return foreign
    .map((table) => host.run(['nft', '-s', 'list', ...table.split(' ')] as [string, ...string[]]).stdout)
    .join('\n');
}

/** Tests a chain of such plugins around ours, on real packets. */
export function chainSuite({ version, name, folders }: StandardPlugins): void {
  void describe(`a chain with ${name} plugins`, () => {
    let rig: Rig;
    let host: RigHost;
    before(async () => {
      rig = await Rig.start({ hosts: 1 });
      host = rig.host(0);
      await rig.namespace(NAMESPACE);
    });
    afterEach(() => rig.clear());
    after(() => rig[Symbol.asyncDispose]());

    async function restartAgent(...options: readonly string[]): Promise<void> {
      await host.stopAgent();
      await host.startAgent(rig.api.kubeconfig, options);
    }

    /** What comes of a connection from outside to the host's port: nothing, when what was sent afterwards has come. */
    async function reachHostPort(pod: RigPod, address: string): Promise<string> {
      const from = await rig.outside;
      const outcome = from.tcp(address, HOST_PORT, { timeoutMs: 60_000, group: 'hostPort' });
      const control = { from: { probe: from }, to: pod };
      await passControls([control]);
      await from.giveUp('hostPort');
      return outcome;
    }

    const folder = folders.find((path) => CHAINED.every((type) => existsSync(join(path, type))));
    const skip = folder === undefined && `${name} CNI plugins are not here: ${folders.join(', ')}`;
    void test(`a chain of loopback, romana, tuning, portmap and bandwidth works at ${version}`, { skip }, async (t) => {
      for (const type of CHAINED) symlinkSync(join(folder ?? '', type), host.path(`/opt/cni/bin/${type}`));
      t.after(async () => {
        for (const type of CHAINED) rmSync(host.path(`/opt/cni/bin/${type}`));
        await restartAgent();
      });
      await restartAgent('--cni-chain', chainOf(version === '1.1.0' ? { backend: 'nftables' } : {}));
      const conflist = JSON.parse(readFileSync(host.path('/etc/cni/net.d/10-romana.conflist'), 'utf8')) as {
        readonly cniVersion: string;
        readonly plugins: readonly { readonly type: string }[];
      };
      assert.equal(conflist.cniVersion, version);
      assert.deepEqual(
        conflist.plugins.map(({ type }) => type),
        ['loopback', 'romana', 'tuning', 'portmap', 'bandwidth'],
      );
      const told = host.log.split('"msg":"ends"').at(-1) ?? '';
      assert.equal(told.includes('STATUS: the node stays Ready'), version === '1.0.0', told);

      const runtime = runtimeOf(t, host);
      const atRest = host.state();
      const pod = await rig.newPod({ namespace: NAMESPACE, name: 'chained' });
      const attachment = attachmentOf(pod);
      const addresses = await runtime.add(attachment);
      assert.equal(addresses.length, 2);
      pod.learn(addresses);
      // Debian's portmap looks for the IPv4 rule among those of IPv6, so that no pod of both families passes its CHECK.
      if (version !== '1.0.0') await runtime.check(attachment);
      await runtime.status();
      assert.equal((await pod.ns.run(['sysctl', '-n', 'net.ipv4.ip_default_ttl'])).trim(), '77');

      // Traffic is shaped in both directions: into the pod on the host's end of its veth.
      const shaping = host.run(['tc', 'qdisc', 'show']).stdout;
      assert.match(shaping, /qdisc tbf .* dev roma[0-9a-f]{11} .*rate 8Mbit/);
      assert.match(shaping, /qdisc tbf .* rate 4Mbit/);

      for (const address of host.addresses) assert.equal(await reachHostPort(pod, address), 'open', address);
      const foreign = foreignTables(host);
      assert.match(foreign, /8080/);
      const [address] = host.addresses;
      const open = await (await rig.outside).open(address, HOST_PORT);
      assert.ok(await open.exchange({ timeoutMs: 5_000 }));
      await rig.isolate(NAMESPACE, 'on');
      await rig.settled();
      assert.ok(!(await open.exchange()), 'an open connection is cut like any other');
      await open.close();
      for (const address of host.addresses) assert.equal(await reachHostPort(pod, address), 'timeout', address);
      await rig.policy(NAMESPACE, 'open', {
        podSelector: {},
        allowIncoming: { toPorts: [{ protocol: 'TCP', port: 80 }] },
      });
      await rig.settled();
      for (const address of host.addresses) assert.equal(await reachHostPort(pod, address), 'open', address);
      await rig.deletePolicy(NAMESPACE, 'open');
      await rig.isolate(NAMESPACE, 'off');
      await rig.settled();
      assert.equal(foreignTables(host), foreign, 'R11: nobody touches the rules of others');

      await runtime.gc([attachment]);
      assert.equal(await reachHostPort(pod, address), 'open');
      await runtime.del(attachment);
      await runtime.del(attachment);
      await waitFor('nothing to be left of the pod', () => host.state() === atRest).catch(() =>
        assert.equal(host.state(), atRest),
      );
      assert.doesNotMatch(foreignTables(host), /8080/);
    });
  });
}
