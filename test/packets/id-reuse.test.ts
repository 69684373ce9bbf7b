import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { isNotFound } from '../../src/kube/client.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { HOST_REPORTS, PODS, TENANTS } from '../../src/objects/resources.ts';
import { ID_CLAIMS } from '../../src/objects/id-claim.ts';
import { Rig } from '../support/rig.ts';
import type { RigHost } from '../support/rig-host.ts';
import type { RigPod } from '../support/rig-pod.ts';

/** Three tenants, three segments each. */
const PLANS = ['10.0.0.0/20:4,2,2,4', 'fd00:10::/116:4,2,2,4'];
const CLIENTS = { podSelector: { segment: 'server' }, allowIncoming: { from: [{ pods: { segment: 'client' } }] } };
/** The API server's address, as the hosts know it. */
const API = '192.168.99.1/32';

void describe('the ids of namespaces that are gone', () => {
  let rig: Rig;
  before(async () => {
    rig = await Rig.start({ plans: PLANS });
  });
  after(() => rig[Symbol.asyncDispose]());

  /** An isolated namespace in which clients reach servers, and a pod of each. */
  async function makePair(namespace: string, serverHost: number): Promise<{ client: RigPod; server: RigPod }> {
    await rig.namespace(namespace, { isolated: true });
    await rig.policy(namespace, 'clients', CLIENTS);
    const client = await rig.pod({ namespace, name: 'client', labels: { segment: 'client' } });
    const server = await rig.pod({ namespace, name: 'server', labels: { segment: 'server' }, host: serverHost });
    return { client, server };
  }

  const acknowledgedBy = async ({ name }: RigHost): Promise<readonly string[]> => {
    const report = (await rig.api.client.get(HOST_REPORTS, name)) as { status?: { acknowledged?: string[] } };
    return report.status?.acknowledged ?? [];
  };

  const isClaimed = async (id: number): Promise<boolean> => {
    try {
      await rig.api.client.get(ID_CLAIMS, `tenant-${id}`);
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  };

  void test('R33: a tenant id goes to a new namespace only when no agent, rule or pod means the old one any more', async () => {
    const [near, far] = [rig.host(0), rig.host(1)];
    const old = await makePair('old', 1);
    const others = await Promise.all(
      ['b', 'c'].map(async (namespace) => {
        await rig.namespace(namespace, { isolated: true });
        await rig.policy(namespace, 'clients', CLIENTS);
        return rig.pod({ namespace, name: 'server', labels: { segment: 'server' }, host: 1 });
      }),
    );
    await rig.settled();
    const reach = (from: RigPod, to: RigPod): Promise<string> => rig.reach(from, to, 'tcp', 80);
    assert.equal(await reach(old.client, old.server), 'open');
    const { id } = await rig.tenant('old');
    const { uid } = ((await rig.api.client.get(TENANTS, 'old')) as { metadata: { uid: string } }).metadata;

    // The far agent is cut off, and its server runs on when the namespace and all its objects go.
    await far.ns.run(['ip', 'route', 'add', 'blackhole', API]);
    await rig.remove(old.client);
    await rig.api.client.delete(PODS, 'server', { namespace: 'old', gracePeriodSeconds: 0 });
    await rig.deleteNamespace('old');
    await waitFor('the near agent to acknowledge', async () => (await acknowledgedBy(near)).includes(uid));

    const next = await makePair('next', 0);
    assert.deepEqual(await rig.tenant('next'), { id: 0, pooled: true });
    await rig.settled([near]);
    assert.equal(await reach(next.client, next.server), 'open');
    for (const server of [old.server, ...others]) assert.equal(await reach(next.client, server), 'dropped');
    assert.equal(await isClaimed(id), true);

    // Back again the agent means nobody by the id any more, but its pod still has it.
    await far.ns.run(['ip', 'route', 'delete', 'blackhole', API]);
    await waitFor('the far agent to acknowledge', async () => (await acknowledgedBy(far)).includes(uid));
    await rig.settled();
    assert.equal(await isClaimed(id), true);
    for (const server of [old.server, ...others]) assert.equal(await reach(next.client, server), 'dropped');

    await rig.remove(old.server);
    await waitFor('the id to be free', async () => !(await isClaimed(id)));
    const later = await makePair('later', 1);
    assert.deepEqual(await rig.tenant('later'), { id, pooled: false });
    assert.deepEqual(await rig.tenant('next'), { id: 0, pooled: true });
    await rig.settled();
    assert.equal(await reach(later.client, later.server), 'open');
    assert.equal(await reach(next.client, next.server), 'open');
    assert.equal(await reach(next.client, later.server), 'dropped');
    for (const server of [next.server, ...others]) assert.equal(await reach(later.client, server), 'dropped');
  });
});
