import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '../addr/address.ts';
import { unwrap } from '../lib/result.ts';
import { newConnectionPacket } from './machine-packet.ts';
import { type Expression, type MachineRule, type MachineTable, type RuleVerdict, walk } from './machine.ts';

const [from, to] = ['10.1.17.3', '10.2.17.3'].map((text) => unwrap(parseAddress(text)));
assert.ok(from !== undefined && to !== undefined);
const packet = newConnectionPacket({ from, to, protocol: 'TCP', port: 80, in: 'roma1', out: 'eth0' });

/** Register 4 is NFT_REG_1. */
const SADDR: Expression = { op: 'payload', base: 'network', offset: 12, length: 4, to: 4 };
const DPORT: Expression = { op: 'payload', base: 'transport', offset: 2, length: 2, to: 4 };
const lookup = (set: string, more: { verdict?: boolean; inverse?: boolean } = {}): Expression => ({
  op: 'lookup',
  set,
  from: 4,
  inverse: false,
  verdict: false,
  ...more,
});
const says = (kind: 'accept' | 'drop' | 'return'): Expression => ({ op: 'verdict', verdict: { kind } });
const leads = (kind: 'jump' | 'goto', chain: string): Expression => ({ op: 'verdict', verdict: { kind, chain } });
const is = (...data: readonly number[]): Expression => ({
  op: 'compare',
  from: 4,
  relation: 'eq',
  data: Uint8Array.from(data),
});

const range = (relation: 'eq' | 'neq'): Expression => ({
  op: 'range',
  from: 4,
  relation,
  low: Uint8Array.of(0, 80),
  high: Uint8Array.of(1, 0),
});

interface Contents {
  readonly [chain: string]: readonly (readonly Expression[])[];
}

/** Sets of addresses; what a map gives for each. */
function tableOf(
  chains: Contents,
  sets: Readonly<Record<string, Readonly<Record<string, RuleVerdict>>>> = {},
): MachineTable {
  return {
    rules: (chain) =>
      chains[chain]?.map((expressions, index): MachineRule => ({ handle: index + 100, comment: '', expressions })),
    keyBytes: () => 4,
    element: (set, key) => {
      const verdict = sets[set]?.[key.join('.')];
      return verdict === undefined ? undefined : verdict.kind === 'continue' ? {} : { verdict };
    },
  };
}

function outcome(chains: Contents, sets: Parameters<typeof tableOf>[1] = {}, skip?: (map: string) => boolean): unknown {
  const { verdict, steps } = walk(tableOf(chains, sets), 'base', packet, skip === undefined ? {} : { skip });
  return [verdict, ...steps.map(({ chain, position, verdict: { kind } }) => `${chain} ${position} ${kind}`)];
}

const IN: RuleVerdict = { kind: 'continue' };

test('walk: jump comes back behind its rule, goto to where its chain was called from', () => {
  const middle = [[leads('goto', 'last')], [says('drop')]];
  assert.deepEqual(outcome({ base: [[leads('jump', 'middle')], [says('accept')]], middle, last: [] }), [
    'accept',
    'base 1 jump',
    'middle 1 goto',
    'base 2 accept',
  ]);
  assert.deepEqual(outcome({ base: [[leads('goto', 'middle')], [says('drop')]], middle: [[says('return')]] }), [
    'end',
    'base 1 goto',
    'middle 1 return',
  ]);
});

test('walk: a rule ends at the first condition that does not hold, and one without a verdict decides nothing', () => {
  const rules = [
    [SADDR, lookup('nobody'), says('drop')],
    [SADDR, lookup('us', { inverse: true }), says('drop')],
    [DPORT, is(0, 81), says('drop')],
    [{ op: 'unknown', name: 'limit' }],
    [{ op: 'effect' }, SADDR, lookup('us'), DPORT, is(0, 80), says('accept')],
    [says('drop')],
  ] as const;
  assert.deepEqual(outcome({ base: rules }, { us: { '10.1.17.3': IN } }), ['accept', 'base 5 accept']);
});

test('walk: maps give verdicts, and those that are skipped none', () => {
  const base = [
    [SADDR, lookup('egress4', { verdict: true })],
    [SADDR, lookup('ingress4', { verdict: true })],
  ];
  const maps = {
    egress4: { '10.1.17.3': { kind: 'jump', chain: 'eg' } },
    ingress4: { '10.1.17.3': { kind: 'jump', chain: 'in' } },
  } as const;
  const chains = { base, eg: [[says('return')]], in: [[says('drop')]] };
  assert.deepEqual(outcome(chains, maps), ['drop', 'base 1 jump', 'eg 1 return', 'base 2 jump', 'in 1 drop']);
  assert.deepEqual(
    outcome(chains, maps, (map) => map.startsWith('ingress')),
    ['end', 'base 1 jump', 'eg 1 return'],
  );
});

test('walk: what it cannot tell is unknown, with the reason, and never a verdict', () => {
  const { verdict, why, steps } = walk(
    tableOf({ base: [[{ op: 'unknown', name: 'socket' }, says('accept')], [says('drop')]] }),
    'base',
    packet,
  );
  assert.deepEqual(
    [verdict, why, steps.at(-1)?.position],
    ['unknown', 'it has the instruction socket, which is not known here', 1],
  );
  assert.deepEqual(outcome({ base: [[leads('jump', 'gone')]] }), ['unknown', 'base 1 jump']);
  assert.deepEqual(outcome({ base: [[{ op: 'meta', key: 'skuid', to: 4 }, says('drop')]] }), [
    'unknown',
    'base 1 continue',
  ]);
  const nested = walk(tableOf({ base: [[leads('jump', 'base')]] }), 'base', packet);
  assert.deepEqual([nested.verdict, nested.why], ['unknown', 'jumps nest too deep']);
});

test('walk: masks, ranges and the order of bytes are those of the kernel', () => {
  const masked: Expression = {
    op: 'bitwise',
    from: 4,
    to: 4,
    mask: Uint8Array.of(255, 0, 255, 0),
    xor: new Uint8Array(4),
  };
  const swap: Expression = { op: 'byteorder', from: 4, to: 4, length: 4, unit: 4 };
  const base = [
    [SADDR, masked, is(10, 0, 17, 1), says('drop')],
    [DPORT, range('neq'), says('drop')],
    [SADDR, swap, is(3, 17, 1, 10), DPORT, range('eq'), SADDR, masked, is(10, 0, 17, 0), says('accept')],
    [says('drop')],
  ];
  assert.deepEqual(outcome({ base }), ['accept', 'base 3 accept']);
});
