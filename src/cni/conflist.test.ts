import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conflistText } from './conflist.ts';

test('R18: conflistText holds the name of the network and its plugin, and no credentials', () => {
  const list = JSON.parse(conflistText()) as unknown;
  assert.deepEqual(list, { cniVersion: '1.1.0', name: 'romana', plugins: [{ type: 'romana' }] });
});
