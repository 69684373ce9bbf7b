import assert from 'node:assert/strict';
import { FakeClock } from '../lib/fake-clock.ts';
import { applyActions } from './apply.ts';
import { assign } from './assign.ts';
import type { FakeApi } from './fake-api.ts';
import type { Assignment } from './state.ts';

/** As many rounds as anything takes to come to rest. */
const MAX_ROUNDS = 20;

/** Assigns and applies until nothing is left to be done, as one controller that sees everything at once. For tests. */
export async function settle(api: FakeApi): Promise<Assignment> {
  const { signal } = new AbortController();
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const assignment = assign(api.state());
    if (assignment.actions.length === 0) return assignment;
    const { outdated } = await applyActions(api, new FakeClock(), assignment.actions, signal);
    assert.deepEqual(outdated, []);
  }
  assert.fail(`does not come to rest: ${JSON.stringify(assign(api.state()).actions)}`);
}
