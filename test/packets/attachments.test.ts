import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { conflistText } from '../../src/cni/conflist.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { TestNetns } from '../support/netns.ts';
import { Rig } from '../support/rig.ts';
import type { CniAnswer, RigHost } from '../support/rig-host.ts';
import type { RigPod } from '../support/rig-pod.ts';

const CNI_TRY_AGAIN = 11;
const NAMESPACE = 'a';

void describe('attachments', () => {
  let rig: Rig;
  let host: RigHost;
  /** The state of the host with one pod, which no test may touch. */
  let atRest: string;

  before(async () => {
    rig = await Rig.start({ hosts: 1 });
    host = rig.host(0);
    await rig.namespace(NAMESPACE, { isolated: true });
    await rig.policy(NAMESPACE, 'pol1', { podSelector: { segment: 's' }, allowIncoming: {} });
  });
  beforeEach(async () => {
    await waitFor('the pods of other tests to be gone', () => leaseFiles(host).length === 0);
    await rig.pod({ namespace: NAMESPACE, name: 'stays', labels: { segment: 's' } });
    await rig.settled();
    atRest = host.state();
    for (const part of ['blackhole', 'PERMANENT', 'jump in-']) assert.ok(atRest.includes(part), atRest);
  });
  afterEach(() => rig.clear());
  after(() => rig[Symbol.asyncDispose]());

  const newPod = (name = 'pod'): Promise<RigPod> =>
    rig.newPod({ namespace: NAMESPACE, name, labels: { segment: 's' } });

  /** Waits until the host is as it was: the kernel takes links away when nobody waits for it. */
  async function assertAtRest(what: string): Promise<void> {
    await waitFor(`nothing to be left behind: ${what}`, () => host.state() === atRest, { timeoutMs: 3_000 }).catch(() =>
      assert.equal(host.state(), atRest, what),
    );
  }

  void test('R15: DEL succeeds when repeated, without prevResult, with one that says something else, and without netns', async () => {
    const pod = await newPod();
    await pod.add();
    assert.notEqual(host.state(), atRest);
    succeeds(await pod.call('DEL'), 'first');
    succeeds(await pod.call('DEL'), 'again');
    await assertAtRest('DEL');
    succeeds(
      await pod.call('DEL', { prevResult: { cniVersion: '1.1.0', ips: [{ address: '192.0.2.1/24' }] } }),
      'with another',
    );
    succeeds(await host.cni({ command: 'DEL', containerId: pod.containerId }), 'no netns at all');
    succeeds(
      await host.cni({ command: 'DEL', containerId: 'never-seen', netns: '/run/netns/not-there' }),
      'never added',
    );
    await assertAtRest('all of them');
    await pod.add();
    succeeds(await host.cni({ command: 'DEL', containerId: pod.containerId }), 'no netns, no arguments');
    await assertAtRest('DEL by the container alone');
  });

  void test('R15: DEL succeeds when the netns is gone', async () => {
    const place = TestNetns.create('gone');
    const pod = await newPod();
    const call = { containerId: pod.containerId, netns: place.path, args: argsOf(pod) };
    assert.equal((await host.cni({ command: 'ADD', ...call })).status, 0);
    await place[Symbol.asyncDispose]();
    await waitFor('the kernel to take the link away', () => !host.state().includes(linkOf(host, pod)));
    succeeds(await host.cni({ command: 'DEL', ...call }), 'its netns is gone');
    succeeds(await host.cni({ command: 'DEL', ...call }), 'again');
    await assertAtRest('DEL without a netns');
  });

  void test('R15: an ADD that fails half-way leaves nothing behind', async (t) => {
    const taken = TestNetns.create('taken');
    t.after(() => taken[Symbol.asyncDispose]());
    await taken.run(['ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'other']);
    const pod = await newPod();
    const file = host.path('/run/no-namespace');
    writeFileSync(file, '');
    const failures = {
      'the interface is there already': taken.path,
      'there is no such file': '/run/netns/not-there',
      'the file is no namespace': '/run/no-namespace',
    };
    for (const [what, netns] of Object.entries(failures)) {
      const call = { containerId: pod.containerId, netns, args: argsOf(pod) };
      const { status, json } = await host.cni({ command: 'ADD', ...call });
      assert.equal(status, 1, what);
      assert.ok((json.code ?? 0) > 0 && json.msg !== undefined, what);
      await assertAtRest(what);
      succeeds(await host.cni({ command: 'DEL', ...call }), what);
      await assertAtRest(`${what}, and DEL`);
    }
    await pod.add();
    assert.equal(await rig.reach(host, pod, 'tcp', 80), 'open');
  });

  void test('R15: an ADD for a pod that nobody knows is to be tried again, and leaves nothing behind', async () => {
    const args = `K8S_POD_NAMESPACE=${NAMESPACE};K8S_POD_NAME=nobody;K8S_POD_UID=00000000-0000-4000-8000-000000000000`;
    const { ns } = await rig.sandbox();
    const adding = host.cni({ command: 'ADD', containerId: 'nobody', netns: ns.path, args });
    succeeds(await host.cni({ command: 'DEL', containerId: 'nobody', netns: ns.path, args }), 'while ADD may wait');
    assert.equal((await adding).json.code, CNI_TRY_AGAIN);
    await assertAtRest('an unknown pod');
  });

  void test('R15: an agent that is killed in the midst of ADDs leaves nothing behind once DEL came', async () => {
    const pods = await Promise.all(Array.from({ length: 12 }, (_, n) => newPod(`pod${n}`)));
    const adding = pods.map((pod) => pod.call('ADD'));
    await Promise.race(adding);
    await host.stopAgent('SIGKILL');
    const answers = await Promise.all(adding);
    for (const { status, json } of answers)
      assert.ok(status === 0 || json.code === CNI_TRY_AGAIN, JSON.stringify(json));
    const deleting = await Promise.all(pods.slice(0, 4).map((pod) => pod.call('DEL')));
    for (const { json } of deleting) assert.equal(json.code, CNI_TRY_AGAIN, 'without an agent');
    await host.startAgent(rig.api.kubeconfig);
    for (const pod of pods) succeeds(await pod.call('DEL'), pod.name);
    await assertAtRest('a killed agent');
  });

  void test('R18: the plugin on the host and its configuration hold no credentials and no way to the API server', () => {
    const files = ['/opt/cni/bin', '/etc/cni/net.d'].flatMap((directory) =>
      readdirSync(host.path(directory), { recursive: true, encoding: 'utf8' }).map((name) => join(directory, name)),
    );
    assert.deepEqual(files, ['/opt/cni/bin/romana', '/etc/cni/net.d/10-romana.conflist']);
    const kubeconfig = readFileSync(rig.api.kubeconfig, 'utf8');
    const server = /"server": "([^"]+)"/.exec(kubeconfig)?.[1];
    assert.ok(server !== undefined && kubeconfig.includes(rig.api.token));
    for (const file of files) {
      const content = readFileSync(host.path(file));
      for (const secret of [rig.api.token, server, rig.api.kubeconfig, 'kubeconfig', 'PRIVATE KEY', 'Bearer']) {
        assert.ok(!content.includes(secret), `${file} has ${secret}`);
      }
    }
    assert.equal(readFileSync(host.path('/etc/cni/net.d/10-romana.conflist'), 'utf8'), conflistText());
    assert.deepEqual(JSON.parse(conflistText()), {
      cniVersion: '1.1.0',
      name: 'romana',
      plugins: [{ type: 'romana' }],
    });
    assert.equal(statSync(host.path('/run/romana/agent.sock')).mode & 0o777, 0o600);
    assert.equal(statSync(host.path('/run/romana/leases')).mode & 0o777, 0o700);
  });
});

void describe('attachments where one family is full', () => {
  let rig: Rig;
  before(async () => {
    // Twelve IPv6 addresses in the pool of a host, and more than a thousand IPv4 ones.
    rig = await Rig.start({ hosts: 1, plans: ['10.0.0.0/16:4,2,2,8', 'fd00:10::/118:4,2,1,3'] });
  });
  after(() => rig[Symbol.asyncDispose]());

  void test('R15: an ADD for which only one family has an address takes none', async (t) => {
    const host = rig.host(0);
    await rig.namespace(NAMESPACE);
    const pod = await rig.newPod({ namespace: NAMESPACE, name: 'many' });
    const places: TestNetns[] = [];
    t.after(() => Promise.all(places.map((place) => place[Symbol.asyncDispose]())));
    const add = (): Promise<CniAnswer> => {
      const place = TestNetns.create('many');
      places.push(place);
      return host.cni({ command: 'ADD', containerId: `many-${places.length}`, netns: place.path, args: argsOf(pod) });
    };
    let state = '';
    let answer = await add();
    while (answer.status === 0 && places.length < 40) {
      state = host.state();
      answer = await add();
    }
    assert.equal(answer.json.code, CNI_TRY_AGAIN);
    assert.match(answer.json.msg ?? '', /no IPv6 address is free/);
    assert.equal(host.state(), state);
    assert.equal(leaseFiles(host).length, places.length - 1);
    const full = `many-${places.length}`;
    assert.equal((await host.cni({ command: 'DEL', containerId: full })).status, 0);
    assert.equal((await host.cni({ command: 'DEL', containerId: 'many-1' })).status, 0);
    const next = await waitFor('an IPv6 address', async () => {
      const again = await host.cni({
        command: 'ADD',
        containerId: full,
        netns: places.at(-1)?.path ?? '',
        args: argsOf(pod),
      });
      return again.status === 0 && again;
    });
    assert.equal(next.json.ips?.length, 2);
  });
});

function succeeds({ status, json }: CniAnswer, what: string): void {
  assert.deepEqual({ status, json }, { status: 0, json: {} }, what);
}

function argsOf({ namespace, name, uid }: RigPod): string {
  return `IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=${name};K8S_POD_UID=${uid}`;
}

function leaseFiles(host: RigHost): string[] {
  return readdirSync(host.path('/run/romana/leases'));
}

/** The host's end of a pod's link. */
function linkOf(host: RigHost, pod: RigPod): string {
  const files = leaseFiles(host).map((name) => readFileSync(host.path(join('/run/romana/leases', name)), 'utf8'));
  const lease = files.find((text) => text.includes(pod.containerId)) ?? assert.fail(`no lease of ${pod.containerId}`);
  const link = /roma[0-9a-f]{11}/.exec(lease)?.[0];
  assert.ok(link !== undefined, lease);
  return `${link}@`;
}
