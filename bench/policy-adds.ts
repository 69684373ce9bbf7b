import type { BenchPod, PolicyRig } from './policy-rig.ts';

const SUM = /^romana_agent_cni_seconds_sum\{command="ADD"\}$/;

/** Milliseconds of an ADD in the agent, round by round. */
export interface Adds {
  readonly without: readonly number[];
  readonly under: readonly number[];
}

/** Lets ADDs with no policy and with `count` of them take turns. The pods are connected before and after. */
export async function measureAdds(
  rig: PolicyRig,
  { pods, count, rounds }: { readonly pods: readonly BenchPod[]; readonly count: number; readonly rounds: number },
): Promise<Adds> {
  const without: number[] = [];
  const under: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    for (const [policies, times] of [
      [0, without],
      [count, under],
    ] as const) {
      await rig.policies(policies);
      const ms = await addAgain(rig, pods);
      if (round > 0) times.push(ms);
    }
  }
  return { without, under };
}

/** @returns the milliseconds of one. */
async function addAgain(rig: PolicyRig, pods: readonly BenchPod[]): Promise<number> {
  const links = rig.links();
  for (const pod of pods) await rig.call('DEL', pod);
  await rig.linksGone(links - pods.length);
  await rig.settled();
  const before = await rig.sum(SUM);
  for (const pod of pods) await rig.call('ADD', pod);
  return (((await rig.sum(SUM)) - before) * 1000) / pods.length;
}
