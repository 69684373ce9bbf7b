import { test } from 'node:test';
import assert from 'node:assert/strict';
import type { Command, ElementCommand } from './command.ts';
import { commandText } from './command.ts';
import { encodeCommands } from './encode-commands.ts';

const IN = { table: 'romana', name: 'ingress4' } as const;
const LEAD: ElementCommand = {
  ...IN,
  verb: 'add element',
  type: 'ipv4_addr : verdict',
  elements: [['10.1.17.3', 'jump in-isolated']],
};
const MEMBER: ElementCommand = {
  verb: 'add element',
  table: 'romana',
  name: 'pods',
  type: 'ipv4_addr',
  elements: [['10.1.17.3', '']],
};
const PLAIN = { kind: 'set', type: 'ipv4_addr', flags: [], autoMerge: false, elements: new Map() } as const;
const KEY = Uint8Array.of(10, 1, 17, 3);

test('encodeCommands keeps the order and takes the chain of a jump', () => {
  assert.deepEqual(encodeCommands([{ ...LEAD, verb: 'delete element', elements: [['10.1.17.3', '']] }, LEAD, MEMBER]), [
    { ...IN, verb: 'delete element', elements: [{ key: KEY, jump: undefined }] },
    { ...IN, verb: 'add element', elements: [{ key: KEY, jump: 'in-isolated' }] },
    { table: 'romana', name: 'pods', verb: 'add element', elements: [{ key: KEY, jump: undefined }] },
  ]);
});

test('encodeCommands gives nothing when one command cannot go this way', () => {
  const gives = (value: string): ElementCommand => ({ ...LEAD, elements: [['10.1.17.3', value]] });
  const others: readonly Command[] = [
    gives('accept'),
    gives('goto in-isolated'),
    gives('jump two words'),
    gives(''),
    { ...LEAD, type: 'ipv4_addr : ipv4_addr', elements: [['10.1.17.3', '10.1.17.4']] },
    { ...gives('jump in-isolated'), type: 'ipv4_addr' },
    { ...MEMBER, type: 'mark' },
    { ...MEMBER, type: undefined },
    { ...MEMBER, elements: [['10.1.0.0/16', '']] },
    { verb: 'add table', table: 'romana' },
    { verb: 'add set', ...IN, set: { ...PLAIN, flags: ['interval'] } },
    { verb: 'add set', ...IN, set: { ...PLAIN, autoMerge: true } },
    { verb: 'add set', ...IN, set: { ...PLAIN, each: 'counter' } },
    { verb: 'add set', ...IN, set: { ...PLAIN, type: 'mark' } },
    { verb: 'add set', ...IN, set: { ...PLAIN, type: 'ipv4_addr : verdict' } },
    { verb: 'add set', ...IN, set: { ...PLAIN, kind: 'map' } },
    { verb: 'add rule', ...IN, rule: 'ip daddr @pods counter accept' },
    {
      verb: 'add chain',
      ...IN,
      chain: { hook: { type: 'filter', hook: 'forward', priority: 'filter' }, rules: [] },
    },
  ];
  for (const other of others) assert.equal(encodeCommands([MEMBER, other]), undefined, JSON.stringify(other));
});

test('commandText is the command of nft that does the same', () => {
  assert.equal(commandText(LEAD), 'add element inet romana ingress4 { 10.1.17.3 : jump in-isolated }');
  assert.equal(commandText({ ...MEMBER, verb: 'delete element' }), 'delete element inet romana pods { 10.1.17.3 }');
  assert.equal(commandText({ verb: 'flush set', kind: 'map', ...IN }), 'flush map inet romana ingress4');
});
