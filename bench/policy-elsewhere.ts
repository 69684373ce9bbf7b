import { PODS } from '../src/objects/resources.ts';
import type { PolicyRig } from './policy-rig.ts';
import type { Made } from './policy-world.ts';

const TRANSACTIONS = /^romana_agent_nft_transactions_total/;
const BYTES = /^romana_agent_watch_bytes_total\{.*type="(?:ADDED|MODIFIED|DELETED)"\}$/;

/** What pods that come and go on other hosts cost an agent. */
export interface ElsewhereCost {
  readonly pods: number;
  readonly transactions: number;
  readonly bytes: number;
}

/** Takes pods of other hosts away and makes them again. */
export async function measureElsewhere(rig: PolicyRig, pods: readonly Made[]): Promise<ElsewhereCost> {
  await rig.settled();
  const before = [await rig.sum(TRANSACTIONS), await rig.sum(BYTES)] as const;
  for (const { namespace, object } of pods) {
    const { name } = (object as { metadata: { name: string } }).metadata;
    rig.api.client.store.delete(PODS, `${namespace}/${name}`, {});
  }
  rig.make(pods);
  await rig.settled();
  const transactions = (await rig.sum(TRANSACTIONS)) - before[0];
  return { pods: pods.length, transactions, bytes: (await rig.sum(BYTES)) - before[1] };
}
