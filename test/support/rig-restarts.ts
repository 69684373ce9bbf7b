import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { TestNetns } from './netns.ts';
import { countersOf } from './netns-counters.ts';
import type { Stream, StreamCounts } from './probe.ts';
import { Rig } from './rig.ts';
import type { RigPod } from './rig-pod.ts';

const FAMILIES = [4, 6] as const;
const NAMESPACE = 'r9';
const OPEN_PORT = 80;
const SHUT_PORT = 81;
/** A flow that nothing answers is given up after so long, in milliseconds. */
const UNANSWERED_MS = 1_000;
/** Datagrams that the kernel delivered and the socket had no room for: lost by the test, not by the network. */
const OVERFLOWS = ['Udp RcvbufErrors', 'Udp6RcvbufErrors'];
/** Segments that TCP had to send again, also SYNs: each is a packet that was lost. */
const RESENT = 'Tcp RetransSegs';

interface Running {
  readonly allowed: boolean;
  readonly stream: Stream;
}

/**
 * Kills and restarts agents in turn while numbered packets go between pods, on one host and across, in both families:
 * all that is allowed arrives and comes back, nothing that is forbidden arrives.
 *
 * @param options `kills`: of agents, each followed by a start; every second one is an orderly end. `churn`: pods come
 * and go on the host meanwhile.
 */
export async function playRestarts(
  t: TestContext,
  { kills, churn }: { readonly kills: number; readonly churn: boolean },
): Promise<void> {
  const rig = await Rig.start();
  t.after(() => rig[Symbol.asyncDispose]());
  await rig.namespace(NAMESPACE, { isolated: true });
  const both = (segment: string, name = segment): Promise<RigPod[]> =>
    Promise.all(
      [0, 1].map((host) => rig.pod({ namespace: NAMESPACE, name: `${name}${host}`, labels: { segment }, host })),
    );
  const toPorts = ['TCP', 'UDP'].map((protocol) => ({ port: OPEN_PORT, protocol }));
  await rig.policy(NAMESPACE, 'pol1', {
    podSelector: { segment: 'server' },
    allowIncoming: { toPorts, from: [{ pods: { segment: 'client' } }] },
  });
  const [servers, clients, trespassers, intruders] = await Promise.all([
    both('server'),
    both('client'),
    both('client', 'trespasser'),
    both('intruder'),
  ]);
  await rig.settled();

  const watched = [...servers, ...clients].map(({ ns }) => ns);
  const before = sum(watched, [RESENT]);
  const overflowed = sum(watched, OVERFLOWS);
  const running = await Promise.all([
    ...startStreams(clients, servers, OPEN_PORT, true),
    ...startStreams(trespassers, servers, SHUT_PORT, false),
    ...startStreams(intruders, servers, OPEN_PORT, false),
  ]);
  const stop = new AbortController();
  const churning = churn ? [0, 1].map((host) => comeAndGo(rig, host, stop.signal)) : [];
  for (let n = 0; n < kills; n += 1) {
    const host = rig.host(n % 2);
    await host.stopAgent(n % 4 < 2 ? 'SIGKILL' : 'SIGTERM');
    await host.startAgent(rig.api.kubeconfig);
  }
  stop.abort();
  const pods = await Promise.all(churning);
  const counted = await Promise.all(
    running.map(async ({ allowed, stream }) => ({ allowed, counts: await stream.stop() })),
  );
  const allowed = total(counted.filter((one) => one.allowed).map(({ counts }) => counts));
  const forbidden = total(counted.filter((one) => !one.allowed).map(({ counts }) => counts));
  const lost = allowed.sent - allowed.echoed - (sum(watched, OVERFLOWS) - overflowed);
  t.diagnostic(JSON.stringify({ kills, allowed, forbidden, pods }));
  assert.ok(allowed.sent > 0 && allowed.connects > 0 && forbidden.sent > 0, 'something was sent');
  assert.ok(lost <= 0, `${lost} allowed datagrams were lost`);
  assert.equal(allowed.connects - allowed.connected, 0, 'connections that were lost');
  assert.equal(sum(watched, [RESENT]) - before, 0, 'segments that were sent again');
  assert.deepEqual({ ...forbidden, sent: 0, connects: 0 }, total([]), 'forbidden packets that were answered');
  await assertUntouched(servers, intruders);
}

/** From each of `senders` to each of `servers`, in both families. */
function startStreams(senders: RigPod[], servers: RigPod[], port: number, allowed: boolean): Promise<Running>[] {
  const options = allowed ? {} : { answerMs: UNANSWERED_MS };
  return senders.flatMap((from) =>
    servers.flatMap((to) =>
      FAMILIES.map(async (family) => ({
        allowed,
        stream: await from.probe.stream(to.address(family), port, options),
      })),
    ),
  );
}

/** Pods that nobody may talk to come to a host and go again, until the signal; how many. */
async function comeAndGo(rig: Rig, host: number, signal: AbortSignal): Promise<number> {
  let count = 0;
  while (!signal.aborted) {
    count += 1;
    const pod = await rig.newPod({
      namespace: NAMESPACE,
      name: `churn${host}-${count}`,
      labels: { segment: `churn${count % 3}` },
      host,
    });
    await pod.add({ patience: true });
    await rig.remove(pod, { patience: true });
  }
  return count;
}

/** The servers have seen nothing of what they may not see. */
async function assertUntouched(servers: readonly RigPod[], intruders: readonly RigPod[]): Promise<void> {
  for (const server of servers) {
    for (const protocol of ['udp', 'tcp'] as const) {
      const seen = await server.probe.received(protocol, OPEN_PORT);
      for (const address of intruders.flatMap(({ addresses }) => addresses)) {
        assert.equal(seen.get(address) ?? 0, 0, `${protocol} from ${address} at ${server.name}`);
      }
      const shut = await server.probe.received(protocol, SHUT_PORT);
      assert.deepEqual([...shut], [], `${protocol} ${SHUT_PORT} at ${server.name}`);
    }
  }
}

function total(all: readonly StreamCounts[]): StreamCounts {
  const add = (name: keyof StreamCounts): number => all.reduce((n, counts) => n + counts[name], 0);
  return { sent: add('sent'), echoed: add('echoed'), connects: add('connects'), connected: add('connected') };
}

function sum(namespaces: readonly TestNetns[], names: readonly string[]): number {
  return namespaces.reduce((n, ns) => {
    const counters = countersOf(ns);
    return n + names.reduce((m, name) => m + (counters.get(name) ?? 0), 0);
  }, 0);
}
