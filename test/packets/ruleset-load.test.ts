import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fc from 'fast-check';
import { deltaText } from '../../src/nft/delta.ts';
import { emptyRuleset } from '../../src/nft/ruleset.ts';
import { replaceText } from '../../src/nft/text.ts';
import { plan } from '../../src/plan/desired.ts';
import { worlds } from '../../src/plan/random-worlds.ts';
import type { Snapshot } from '../../src/plan/snapshot.ts';
import { inNamespace } from './ruleset-network.ts';

test('R12: the kernel takes the rulesets of random worlds, and nft(8) lists them so that it can read them again', (t) => {
  const namespace = `rt-${process.pid}-load`;
  execFileSync('ip', ['netns', 'add', namespace]);
  t.after(() => execFileSync('ip', ['netns', 'delete', namespace]));
  let before = emptyRuleset('romana');
  inNamespace(namespace, ['nft', '-f', '-'], replaceText(before));
  const load = (snapshot: Snapshot): void => {
    const { ruleset } = plan(snapshot);
    inNamespace(namespace, ['nft', '-f', '-'], `${deltaText(before, ruleset)}\n`);
    before = ruleset;
    const listed = inNamespace(namespace, ['nft', 'list', 'table', 'inet', 'romana']);
    inNamespace(namespace, ['nft', '-f', '-'], `delete table inet romana\n${listed}`);
    assert.equal(inNamespace(namespace, ['nft', 'list', 'table', 'inet', 'romana']), listed);
  };
  fc.assert(
    fc.property(worlds, fc.boolean(), ({ snapshot }, listens) =>
      load({ ...snapshot, nflogGroup: listens ? 9671 : undefined }),
    ),
    { numRuns: 40, endOnFailure: true },
  );
});
