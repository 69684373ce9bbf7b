import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import * as fc from 'fast-check';
import { contains, parseCidr } from '../../src/addr/cidr.ts';
import { DEFAULT_PLANS } from '../../src/addr/plan.ts';
import { AddressBook } from '../../src/agent/address-book.ts';
import { CniHandler } from '../../src/agent/cni-handler.ts';
import { CniServer } from '../../src/agent/cni-server.ts';
import { FakeDatapath } from '../../src/agent/fake-datapath.ts';
import { LeaseStore } from '../../src/agent/leases.ts';
import { PodNetwork } from '../../src/agent/pod-network.ts';
import { cniError } from '../../src/cni/errors.ts';
import type { PodName } from '../../src/cni/request.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { err, ok, unwrap } from '../../src/lib/result.ts';
import { mutantBytes, mutants } from '../support/mutants.ts';

const RUNS = 10_000;
const POD: PodName = { namespace: 'tenant-a', name: 'web-1', uid: '5f1b-1' };
/** The pod's segment, and the shared pool, which is used when all of the segment's endpoints rest. */
const ALLOWED = ['10.1.17.0/24', '10.1.0.0/20'].map((text) => unwrap(parseCidr(text)));
const never = new AbortController().signal;

const ENVIRONMENT = {
  CNI_COMMAND: 'ADD',
  CNI_CONTAINERID: 'c1',
  CNI_NETNS: '/run/netns/c1',
  CNI_IFNAME: 'eth0',
  CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${POD.namespace};K8S_POD_NAME=${POD.name};K8S_POD_UID=${POD.uid}`,
};
const CONFIG = { cniVersion: '1.1.0', name: 'romana', type: 'romana' };

/** What the launcher sends. */
function bytesOf(environment: object, config: unknown): Uint8Array {
  const text = Object.entries(environment).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}\0`,
  );
  return new TextEncoder().encode(`${text.join('')}\0${JSON.stringify(config)}`);
}

const COMMANDS = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'].map((CNI_COMMAND) => ({
  env: { ...ENVIRONMENT, CNI_COMMAND },
  config: { ...CONFIG, prevResult: {}, 'cni.dev/valid-attachments': [{ containerID: 'c1', ifname: 'eth0' }] },
}));

const requests = fc.oneof(
  mutantBytes(COMMANDS.map(({ env, config }) => bytesOf(env, config))),
  mutants(COMMANDS).map((json) => {
    const { env, config } = (json ?? {}) as { env?: unknown; config?: unknown };
    return bytesOf(typeof env === 'object' && env !== null ? env : ENVIRONMENT, config);
  }),
);

interface World {
  readonly datapath: FakeDatapath;
  readonly leases: LeaseStore;
  readonly network: PodNetwork;
  readonly handler: CniHandler;
}

/** The agent's side of CNI over a kernel of its own, in a cluster of one pod. */
function world(t: TestContext): World {
  const folder = mkdtempSync(join(tmpdir(), 'romana-fuzz-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const datapath = new FakeDatapath();
  const leases = new LeaseStore(join(folder, 'leases'), silentLog);
  const place = { hostId: 1, tenantId: 1, segmentId: 1, pool: false, plans: DEFAULT_PLANS };
  const network = new PodNetwork({
    datapath,
    identities: {
      forPod: ({ namespace, name, uid }) => {
        const known = namespace === POD.namespace && name === POD.name && uid === POD.uid;
        const identity = { ...place, labels: new Map([['segment', 'web']]), segment: 'web' };
        return Promise.resolve(known ? ok(identity) : err(cniError('tryAgainLater', 'no such pod')));
      },
    },
    leases,
    book: new AddressBook(systemClock, () => false),
    network: () => ({ plans: DEFAULT_PLANS, mtu: 1500 }),
    clock: systemClock,
    log: silentLog,
  });
  const handler = new CniHandler({ network, status: () => undefined, clock: systemClock, log: silentLog });
  return { datapath, leases, network, handler };
}

test('whatever a CNI call says, it is answered, and connects no pod but one that it names in full', async (t) => {
  const { datapath, leases, network, handler } = world(t);
  let added = 0;
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(requests, async (bytes) => {
      const { failed, json } = await handler.handle(bytes, never);
      if (failed) {
        refused += 1;
        const { code, msg } = json as { code: number; msg: string };
        assert.ok(Number.isInteger(code) && code > 0 && msg !== '');
      }
      const active = leases.list();
      assert.deepEqual(
        [...datapath.links].filter(([, state]) => state === 'up').map(([name]) => name),
        active.map(({ hostInterface }) => hostInterface),
        'links that are up are those of leases',
      );
      for (const { uid, namespace, pod, addresses } of active) {
        assert.deepEqual([namespace, pod, uid], [POD.namespace, POD.name, POD.uid]);
        const [first] = addresses;
        assert.ok(first !== undefined && ALLOWED.some((range) => contains(range, first)));
        // As a whole it must have been said, not put together from pieces that mean something else.
        const said = new TextDecoder('latin1').decode(bytes);
        for (const each of Object.values(POD)) assert.ok(said.includes(each));
      }
      added += active.length;
      for (const { containerId, ifname } of active) await network.del({ containerId, ifname }, never);
      await network.settled();
      assert.deepEqual([...datapath.links.keys()], []);
    }),
    { numRuns: RUNS },
  );
  await network.stop();
  assert.ok(added > RUNS / 50 && refused > RUNS / 5, `${added} were connected, ${refused} refused`);
});

test('whatever comes on the CNI socket, the server answers it in the form of the launcher and goes on', async (t) => {
  const { handler, network } = world(t);
  const folder = mkdtempSync(join(tmpdir(), 'romana-fuzz-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'agent.sock');
  const handle = (bytes: Uint8Array): ReturnType<CniHandler['handle']> => handler.handle(bytes, never);
  const server = new CniServer({ path, handle, clock: systemClock, log: silentLog });
  await server.listen();
  t.after(() => server.close(0));
  await fc.assert(
    fc.asyncProperty(requests, fc.boolean(), async (bytes, leaves) => {
      const answer = await ask(path, bytes, leaves);
      if (leaves) return;
      assert.match(answer, /^[01]\n/);
      const text = answer.slice(2);
      if (text !== '') JSON.parse(text);
    }),
    { numRuns: RUNS / 5 },
  );
  assert.match(await ask(path, bytesOf({ CNI_COMMAND: 'VERSION' }, CONFIG), false), /^0\n\{.*supportedVersions/);
  await network.stop();
});

/** Sends a request; a caller that `leaves` does not wait for the answer. */
async function ask(path: string, bytes: Uint8Array, leaves: boolean): Promise<string> {
  const socket = connect({ path, allowHalfOpen: true });
  socket.on('error', () => undefined); // told by what did not come
  let answer = '';
  socket.setEncoding('utf8').on('data', (text: string) => (answer += text));
  socket.on('end', () => socket.end());
  const closed = new Promise((resolve) => socket.once('close', resolve));
  if (leaves) socket.write(bytes, () => socket.destroy());
  else socket.end(bytes);
  await closed;
  return answer;
}
