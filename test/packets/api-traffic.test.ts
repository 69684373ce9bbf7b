import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { TestNetns } from '../support/netns.ts';
import { Rig } from '../support/rig.ts';
import type { RigHost } from '../support/rig-host.ts';

const PODS = 10;
/** What the API server sends without being asked: changes, and not the bookmarks that say that there are none. */
const CHANGES = /^romana_agent_watch_bytes_total\{.*type="(?:ADDED|MODIFIED|DELETED)"\}$/;
/** What the agent asks for; it writes when its own pods have come to rest, and looks whether the server is there. */
const REQUESTS = /^romana_agent_api_requests_total\{verb="(?:list|watch|get)",resource="\w+"\}$/;

async function sum(host: RigHost, names: RegExp): Promise<number> {
  const matching = [...(await host.metrics())].filter(([name]) => names.test(name));
  return matching.reduce((total, [, value]) => total + value, 0);
}

void describe('API traffic of an agent', () => {
  let rig: Rig;
  before(async () => {
    rig = await Rig.start();
  });
  after(() => rig[Symbol.asyncDispose]());

  /** Pods that come to the second host, get addresses, report them, and go. */
  async function comeAndGo(namespace: string, labels: Readonly<Record<string, string>>): Promise<void> {
    await using undo = new AsyncDisposableStack();
    const coming = Array.from({ length: PODS }, async (_, n) => {
      const sandbox = undo.use(TestNetns.create(`pod${n}`));
      return rig.pod({ namespace, name: `pod${n}`, labels, host: 1, sandbox });
    });
    const pods = await Promise.all(coming);
    await rig.settled();
    await Promise.all(pods.map((pod) => rig.remove(pod)));
    await rig.settled();
  }

  void test('R23: pods of other hosts cost an agent no byte, unless a policy here names them by other labels', async () => {
    const [near] = rig.hosts;
    assert.ok(near !== undefined);
    const segments = { podSelector: { segment: 'back' }, allowIncoming: { from: [{ pods: { segment: 'front' } }] } };
    await rig.namespace('a', { isolated: true });
    await rig.policy('a', 'segments', segments);
    await rig.pod({ namespace: 'a', name: 'back', labels: { segment: 'back' } });
    await rig.settled();
    const cost = async (labels: Readonly<Record<string, string>>): Promise<{ bytes: number; requests: number }> => {
      const [bytes, requests] = await Promise.all([sum(near, CHANGES), sum(near, REQUESTS)]);
      await comeAndGo('a', labels);
      return { bytes: (await sum(near, CHANGES)) - bytes, requests: (await sum(near, REQUESTS)) - requests };
    };
    assert.deepEqual(await cost({ segment: 'front' }), { bytes: 0, requests: 0 });

    const web = { podSelector: { segment: 'back' }, allowIncoming: { from: [{ pods: { app: 'web' } }] } };
    await rig.policy('a', 'web', web);
    await rig.settled();
    assert.deepEqual(await cost({ segment: 'front', app: 'db' }), { bytes: 0, requests: 0 });
    const { bytes, requests } = await cost({ segment: 'front', app: 'web' });
    assert.ok(bytes > 0, 'what the policy names is watched');
    assert.equal(requests, 0, 'by the watch that is open');
  });
});
