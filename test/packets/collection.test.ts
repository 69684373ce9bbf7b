import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { unwrap } from '../../src/lib/result.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { parseLeaseFile } from '../../src/agent/lease-file.ts';
import { PODS } from '../../src/objects/resources.ts';
import { TestNetns } from '../support/netns.ts';
import { Rig } from '../support/rig.ts';
import type { CniAnswer, RigHost } from '../support/rig-host.ts';
import type { RigPod } from '../support/rig-pod.ts';

const NAMESPACE = 'a';
const LEASES = '/run/romana/leases';
const CNI_NOT_AVAILABLE = 50;
const CNI_TRY_AGAIN = 11;

/** The lease of a pod with its file, or nothing. */
function leaseOf(host: RigHost, { containerId }: { readonly containerId: string }) {
  const files = readdirSync(host.path(LEASES)).map((name) => host.path(join(LEASES, name)));
  const all = files.map((file) => ({ file, text: readFileSync(file, 'utf8') }));
  const found = all.find(({ text }) => text.includes(`"containerId":"${containerId}"`));
  return found === undefined ? undefined : { ...found, ...unwrap(parseLeaseFile(found.text)) };
}

void describe('collection', () => {
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

  const gc = (...valid: readonly RigPod[]): Promise<CniAnswer> => {
    const attachments = valid.map(({ containerId }) => ({ containerID: containerId, ifname: 'eth0' }));
    return host.cni({ command: 'GC', config: { 'cni.dev/valid-attachments': attachments } });
  };

  void test('R16: GC frees what is not in valid-attachments, and nothing younger than what the runtime knows', async () => {
    const [valid, old] = await Promise.all(['valid', 'old'].map((name) => rig.pod({ namespace: NAMESPACE, name })));
    assert.ok(valid !== undefined && old !== undefined);
    await host.stopAgent();
    for (const pod of [valid, old]) {
      const lease = leaseOf(host, pod) ?? assert.fail(`no lease of ${pod.name}`);
      writeFileSync(lease.file, lease.text.replace(/"since":\d+/, `"since":${Date.now() - 11 * 60_000}`));
    }
    await host.startAgent(rig.api.kubeconfig);
    const young = await rig.pod({ namespace: NAMESPACE, name: 'young' });
    const link = leaseOf(host, old)?.lease.hostInterface ?? assert.fail('no lease of old');
    assert.equal(await rig.reach(host, old, 'tcp', 80), 'open');

    assert.deepEqual(await gc(valid), { status: 0, json: {} });
    assert.equal(await rig.reach(host, valid, 'tcp', 80), 'open');
    assert.equal(await rig.reach(host, young, 'tcp', 80), 'open');
    await waitFor('the lease to be free', () => leaseOf(host, old) === undefined);
    const state = host.state();
    for (const trace of [link, ...old.addresses]) assert.ok(!state.includes(trace), `${trace} in ${state}`);
    assert.deepEqual(await gc(valid, young), { status: 0, json: {} });
    assert.deepEqual(await gc(valid), { status: 0, json: {} });
    assert.equal(host.state(), state, 'again');
  });

  void test('R16: the agent frees what DEL never came for, and R17: nothing whose sandbox is there', async (t) => {
    await restartAgent('--collect-every', '0.2');
    t.after(() => restartAgent());
    const crashing = async (name: string): Promise<RigPod> => {
      const sandbox = TestNetns.create(name);
      t.after(() => sandbox[Symbol.asyncDispose]());
      const pod = await rig.newPod({ namespace: NAMESPACE, name, sandbox });
      await pod.add();
      return pod;
    };
    const crash = async (pod: RigPod): Promise<void> => {
      await pod.ns[Symbol.asyncDispose]();
      await waitFor(`the lease of ${pod.name} to be free`, () => leaseOf(host, pod) === undefined);
    };
    const silent = await rig.newPod({ namespace: NAMESPACE, name: 'silent' });
    const forced = await rig.newPod({ namespace: NAMESPACE, name: 'forced' });
    await Promise.all([silent.add(), forced.add()]);
    const cut = await crashing('cut');
    const link = leaseOf(host, cut)?.lease.hostInterface;
    const options = { namespace: NAMESPACE, gracePeriodSeconds: 0 };
    await rig.api.client.delete(PODS, forced.name, { ...options, uid: forced.uid });
    await cut.ns.run(['ip', 'link', 'delete', 'eth0']);

    // Each crash is noticed at the second look, so that what was there before has been looked at twice.
    for (const name of ['one', 'two']) await crash(await crashing(name));
    assert.equal(leaseOf(host, cut)?.lease.hostInterface, link, 'its pod may be told of it and mend itself');
    for (const pod of [silent, forced]) assert.equal(await rig.reach(host, pod, 'tcp', 80), 'open', pod.name);

    await rig.api.client.delete(PODS, cut.name, { ...options, uid: cut.uid });
    await waitFor('the lease of a pod without interface that is gone', () => leaseOf(host, cut) === undefined);
    const state = host.state();
    for (const trace of cut.addresses) assert.ok(!state.includes(trace), `${trace} in ${state}`);
    for (const pod of [silent, forced]) assert.equal(await rig.reach(host, pod, 'tcp', 80), 'open', pod.name);
  });

  void test('R16: the agent frees what it cannot read any more and nobody uses', async (t) => {
    const sandbox = TestNetns.create('torn');
    t.after(() => sandbox[Symbol.asyncDispose]());
    const pod = await rig.newPod({ namespace: NAMESPACE, name: 'torn', sandbox });
    await pod.add();
    const lease = leaseOf(host, pod) ?? assert.fail('no lease');
    await host.stopAgent();
    writeFileSync(lease.file, lease.text.slice(0, lease.text.indexOf('"hostMac"')));
    await host.startAgent(rig.api.kubeconfig, ['--collect-every', '0.2']);
    t.after(() => restartAgent());
    assert.deepEqual(readdirSync(host.path(LEASES)), [`${lease.lease.hostInterface}.json.damaged`]);
    await sandbox[Symbol.asyncDispose]();
    await waitFor('the file to go', () => readdirSync(host.path(LEASES)).length === 0);
  });
});

void describe('a host whose addresses come to an end', () => {
  let rig: Rig;
  before(async () => {
    // One tenant of two segments with 4 addresses each, and 12 in the shared pool of a host.
    rig = await Rig.start({ hosts: 1, plans: ['10.0.0.0/25:2,1,1,3'] });
  });
  after(() => rig[Symbol.asyncDispose]());

  void test('R16: STATUS fails only when no ADD at all can succeed, not for a full segment or pool', async (t) => {
    const host = rig.host(0);
    await rig.namespace(NAMESPACE);
    const labels = { segment: 's' };
    const labelled = await rig.newPod({ namespace: NAMESPACE, name: 'labelled', labels });
    const plain = await rig.newPod({ namespace: NAMESPACE, name: 'plain' });
    const places: TestNetns[] = [];
    t.after(() => Promise.all(places.map((place) => place[Symbol.asyncDispose]())));
    const add = async ({ namespace, name, uid }: RigPod): Promise<number> => {
      const place = TestNetns.create('full');
      places.push(place);
      const args = `K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=${name};K8S_POD_UID=${uid}`;
      const answer = await host.cni({ command: 'ADD', containerId: place.name, netns: place.path, args });
      return answer.json.code ?? answer.status;
    };
    const addMany = (pod: RigPod, count: number): Promise<number[]> =>
      Promise.all(Array.from({ length: count }, () => add(pod)));
    const status = async (): Promise<number> => (await host.cni({ command: 'STATUS' })).json.code ?? 0;

    assert.deepEqual(await addMany(labelled, 5), Array(5).fill(0));
    assert.equal(await status(), 0, 'a full segment');
    assert.deepEqual(await addMany(labelled, 11), Array(11).fill(0));
    assert.equal(await add(labelled), CNI_TRY_AGAIN);
    assert.equal(await status(), 0, 'a full segment and a full pool');
    assert.deepEqual(await addMany(plain, 4), Array(4).fill(0));
    assert.equal(await add(plain), CNI_TRY_AGAIN);
    assert.equal(await status(), CNI_NOT_AVAILABLE, 'all segments and the pool');
    await host.cni({ command: 'DEL', containerId: places[0]?.name ?? '' });
    await waitFor('an address to be free again', async () => (await status()) === 0);
    assert.equal(await add(labelled), 0);
  });
});
