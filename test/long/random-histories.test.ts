import { test } from 'node:test';
import { playRandomHistories } from '../support/rig-history-player.ts';

// The same as in test/packets, for longer, with hosts, agents, the controller and the API server that end or are killed.

/** Of both together: LONG_STEPS. A step takes about 0.1 s where two cores have nothing else to do. */
const STEPS = Number(process.env['LONG_STEPS'] || 10_000);
/** Of the first history of each, from the message of one that failed: LONG_SEED. */
const SEED = process.env['LONG_SEED'] ? Number(process.env['LONG_SEED']) : undefined;

void test('packets are what evaluate says and nothing is left over, for long, over faults', (t) =>
  playRandomHistories(t, { steps: STEPS / 2, faults: true, seed: SEED }));

void test('packets are what evaluate says and nothing is left over where namespaces and segments share the pool, for long, over faults', (t) =>
  playRandomHistories(t, {
    steps: STEPS / 2,
    faults: true,
    seed: SEED,
    plans: ['10.0.0.0/22:4,2,1,3', 'fd00:10::/118:4,2,1,3'],
  }));
