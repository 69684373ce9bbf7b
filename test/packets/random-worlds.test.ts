import { test } from 'node:test';
import { playRandomWorlds } from '../support/rig-worlds.ts';

void test('packets are what evaluate says, in random worlds of all kinds of policies, and after edits', (t) =>
  playRandomWorlds(t, { runs: 18 }));

void test('packets are what evaluate says, in random worlds whose pods are told by the bits of addresses alone', (t) =>
  playRandomWorlds(t, { runs: 12, byBits: true }));
