import assert from 'node:assert/strict';
import { CONTROL_PORT, type RigHost } from './rig-host.ts';
import type { Outcome } from './rig-judge.ts';
import type { RigPod } from './rig-pod.ts';

/** Longer than any test: attempts end when they are given up. */
const FOREVER_MS = 60_000;
let groups = 0;

/**
 * What comes of new connections of a pod to a host, the same in both families; nothing is waited out: the host asks the
 * pod twice after that. The pod's answer goes the way of the attempt, and the second question comes after what the host
 * says to it. It must be allowed to ask.
 */
export async function reachHost(
  pod: RigPod,
  host: RigHost,
  protocol: 'tcp' | 'udp',
  port: number = CONTROL_PORT,
): Promise<Outcome> {
  groups += 1;
  const group = `host ${groups}`;
  const outcomes = Promise.all(
    host.addresses.map((address) => pod.probe[protocol](address, port, { timeoutMs: FOREVER_MS, group })),
  );
  const ask = async (): Promise<void> => {
    const asked = pod.addresses.map((address) => host.probe.udp(address, CONTROL_PORT, { timeoutMs: 5_000 }));
    assert.deepEqual(await Promise.all(asked), ['open', 'open'], `${host.name} asks ${pod.name}`);
  };
  await pod.probe.settle();
  await ask();
  await host.probe.settle();
  await ask();
  await pod.probe.settle();
  await pod.probe.giveUp(group);
  const [four, six] = await outcomes;
  assert.equal(four, six, `IPv4 and IPv6 differ towards ${host.name} ${protocol} ${port}`);
  assert.ok(four !== undefined);
  return four === 'timeout' ? 'dropped' : four;
}
