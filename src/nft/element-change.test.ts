import { test } from 'node:test';
import assert from 'node:assert/strict';
import { changeText, encodeChanges } from './element-change.ts';
import type { ElementChange } from './element-change.ts';

const LEAD: ElementChange = {
  set: 'ingress4',
  type: 'ipv4_addr : verdict',
  op: 'add',
  key: '10.1.17.3',
  value: 'jump in-isolated',
};
const MEMBER: ElementChange = { set: 'pods', type: 'ipv4_addr', op: 'add', key: '10.1.17.3', value: '' };
const KEY = Uint8Array.of(10, 1, 17, 3);

test('encodeChanges keeps the order and takes the chain of a jump', () => {
  assert.deepEqual(encodeChanges('romana', [{ ...LEAD, op: 'delete', value: '' }, LEAD, MEMBER]), [
    { set: 'ingress4', op: 'delete', key: KEY, jump: undefined },
    { set: 'ingress4', op: 'add', key: KEY, jump: 'in-isolated' },
    { set: 'pods', op: 'add', key: KEY, jump: undefined },
  ]);
});

test('encodeChanges gives nothing when one change cannot go this way', () => {
  const others: readonly ElementChange[] = [
    { ...LEAD, value: 'accept' },
    { ...LEAD, value: 'goto in-isolated' },
    { ...LEAD, value: 'jump two words' },
    { ...LEAD, value: '' },
    { ...LEAD, type: 'ipv4_addr : ipv4_addr', value: '10.1.17.4' },
    { ...MEMBER, value: 'jump in-isolated' },
    { ...MEMBER, type: 'mark' },
    { ...MEMBER, key: '10.1.0.0/16' },
  ];
  for (const other of others) assert.equal(encodeChanges('romana', [MEMBER, other]), undefined, JSON.stringify(other));
});

/** How many of one change are let through at once. */
function most(table: string, change: ElementChange): number {
  let count = 1;
  while (
    encodeChanges(
      table,
      Array.from({ length: count + 1 }, () => change),
    ) !== undefined
  )
    count += 1;
  return count;
}

test('encodeChanges gives nothing when there are too many for one datagram', () => {
  assert.ok(most('romana', MEMBER) > 400, 'dozens of pods that come at once are no more than that');
  const name = 'n'.repeat(255);
  assert.ok(most(name, { ...LEAD, set: name, value: `jump ${name}` }) < 80);
});

test('changeText is the command of nft that does the same', () => {
  assert.equal(changeText('romana', LEAD), 'add element inet romana ingress4 { 10.1.17.3 : jump in-isolated }');
  assert.equal(changeText('romana', { ...MEMBER, op: 'delete' }), 'delete element inet romana pods { 10.1.17.3 }');
});
