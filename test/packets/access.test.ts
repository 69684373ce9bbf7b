import assert from 'node:assert/strict';
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { POD_METRICS_LABEL } from '../../src/agent/metric-readers.ts';
import { NAMESPACES } from '../../src/objects/resources.ts';
import { CONTROL_PORT, type RigHost } from '../support/rig-host.ts';
import type { RigPod } from '../support/rig-pod.ts';
import { Rig } from '../support/rig.ts';

const METRICS_PORT = 9671;
const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] as const;

describe('what others on a host, and pods, can reach of the agent', () => {
  let rig: Rig;
  let host: RigHost;
  let pod: RigPod;
  before(async () => {
    rig = await Rig.start({ hosts: 1 });
    host = rig.host(0);
    await rig.namespace('tenant-a', { isolated: true });
    pod = await rig.pod({ namespace: 'tenant-a', name: 'web', labels: { segment: 'secret-segment' } });
  });
  after(() => rig[Symbol.asyncDispose]());

  /** Every file below a folder of the host: type, mode, owner. */
  function files(folder: string): readonly string[] {
    return readdirSync(host.path(folder), { recursive: true, encoding: 'utf8' })
      .map((name) => join(folder, name))
      .toSorted()
      .map((path) => {
        const found = lstatSync(host.path(path));
        const type = found.isDirectory() ? 'd' : found.isSocket() ? 's' : found.isFile() ? '-' : '?';
        return `${type}${(found.mode & 0o7777).toString(8)} ${found.uid}:${found.gid} ${path}`;
      });
  }

  test("its socket, its leases and what it knows are root's alone; what container runtimes read, all may read", () => {
    const [lease] = readdirSync(host.path('/run/romana/leases'));
    const found = files('/run/romana');
    for (const file of found) assert.match(file, /^(?:[-s]600|d700) 0:0 /);
    for (const name of ['agent.sock', `leases/${lease}`, 'known/pods.core', 'known/claim', 'sysctls.json']) {
      assert.ok(
        found.some((file) => file.endsWith(` /run/romana/${name}`)),
        `no ${name} in ${found.join(', ')}`,
      );
    }
    assert.deepEqual(files('/etc/cni/net.d'), ['-644 0:0 /etc/cni/net.d/10-romana.conflist']);
    assert.deepEqual(
      files('/opt/cni/bin').filter((line) => line.includes('romana')),
      ['-755 0:0 /opt/cni/bin/romana'],
    );
  });

  test('R18: what is on the host for the plugin holds no credentials', () => {
    const { token } = rig.api;
    const texts = ['/etc/cni/net.d/10-romana.conflist', '/opt/cni/bin/romana'].map((path) =>
      readFileSync(host.path(path), 'latin1'),
    );
    for (const text of texts) {
      assert.ok(!text.includes(token));
      assert.doesNotMatch(text, /kubeconfig|bearer|BEGIN (RSA |EC )?(PRIVATE|CERTIFICATE)/i);
    }
  });

  test('a process without privileges reads no lease, and neither calls nor changes the plugin', () => {
    const refused = (...command: readonly [string, ...string[]]): void => {
      const { status, stdout, stderr } = host.run([...NOBODY, ...command]);
      assert.notEqual(status, 0, stdout);
      assert.match(stdout + stderr, /[Pp]ermission denied|"code":/, command.join(' '));
      assert.doesNotMatch(stdout, /supportedVersions|addresses/);
    };
    const control = host.run([...NOBODY, 'cat', '/etc/cni/net.d/10-romana.conflist']);
    assert.equal(control.status, 0, 'what all may read is read, so that a refusal is one');
    refused('ls', '/run/romana/leases');
    refused('sh', '-c', 'echo > /etc/cni/net.d/10-romana.conflist');
    refused('sh', '-c', 'echo > /opt/cni/bin/romana');
    refused('sh', '-c', 'echo > /run/romana/agent.sock');
    refused('sh', '-c', 'CNI_COMMAND=STATUS /opt/cni/bin/romana < /etc/cni/net.d/10-romana.conflist');
  });

  test('the agent listens on one port, and a pod gets metrics and health from it, which say nothing of tenants', async () => {
    const { stdout } = host.run(['ss', '-Hltun']);
    const ports = stdout
      .trim()
      .split('\n')
      .map((line) => Number(/:(\d+)\s/.exec(line)?.[1]));
    assert.deepEqual(
      [...new Set(ports)].filter((port) => port !== CONTROL_PORT),
      [METRICS_PORT],
    );
    const at = `http://${host.addresses[0]}:${METRICS_PORT}`;
    assert.equal(await pod.probe.get(`${at}/healthz`), 'ok\n');
    const metrics = await pod.probe.get(`${at}/metrics`);
    assert.match(metrics, /romana_agent_/);
    for (const secret of [rig.api.token, pod.uid, pod.containerId, 'tenant-a', 'secret-segment', ...pod.addresses]) {
      assert.ok(!metrics.includes(secret), `the metrics tell ${secret}`);
    }
    for (const path of ['/', '/debug', '/../run/romana/agent.sock', '/metrics/..']) {
      assert.match(await pod.probe.get(at + path), /^there are \/metrics, \/healthz and \/readyz/, path);
    }
  });

  test('metrics of single pods are shown to the host, and to pods of namespaces that are labelled for it', async () => {
    const url = `http://${host.addresses[0]}:${METRICS_PORT}/metrics`;
    const ofPods = /^romana_agent_connections_accepted_total\{namespace="tenant-a"/m;
    assert.match(await host.probe.get(url), ofPods);
    assert.doesNotMatch(await pod.probe.get(url), ofPods);
    await rig.api.client.patch(NAMESPACES, pod.namespace, { metadata: { labels: { [POD_METRICS_LABEL]: 'read' } } });
    await rig.settled();
    assert.match(await pod.probe.get(url), ofPods);
  });
});
