import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress, type Address } from '../addr/address.ts';
import type { TableChain } from '../kernel/nft-table.ts';
import type { Path } from '../kernel/routes.ts';
import { unwrap } from '../lib/result.ts';
import type { Expression, RuleVerdict } from '../nft/machine.ts';
import type { TraceQuestion } from '../objects/policy-trace.ts';
import { traceConnection, type TraceKernel } from './trace.ts';

const address = (text: string): Address => unwrap(parseAddress(text));
const [POD, OTHER, FAR] = [address('10.1.17.3'), address('10.1.17.4'), address('10.2.17.3')];
const [HERE, NOBODY] = [address('192.168.99.11'), address('10.1.17.9')];

const DEVICES = ['', 'lo', 'eth0', 'roma-pod', 'roma-other'];
const PATHS: ReadonlyMap<Address, Path> = new Map([
  [POD, { way: 'link', dev: 3 }],
  [OTHER, { way: 'link', dev: 4 }],
  [FAR, { way: 'router', dev: 2 }],
  [HERE, { way: 'local', dev: 1 }],
]);

const says = (kind: 'accept' | 'drop' | 'return'): Expression => ({ op: 'verdict', verdict: { kind } });
/** `ip saddr` or `ip daddr` in NFT_REG_1. */
const SADDR: Expression = { op: 'payload', base: 'network', offset: 12, length: 4, to: 4 };
const DADDR: Expression = { ...SADDR, offset: 16 };
const vmap = (set: string): Expression => ({ op: 'lookup', set, from: 4, inverse: false, verdict: true });

function base(name: 'prerouting' | 'forward' | 'input', more: Partial<TableChain['hook']> = {}): TableChain {
  return { name, comment: '', hook: { type: 'filter', name, priority: 0, policy: 'accept', ...more } };
}

type Maps = Readonly<Record<string, ReadonlyMap<string, RuleVerdict>>>;

interface Rules {
  readonly chains?: readonly TableChain[];
  readonly rules?: Readonly<Record<string, readonly (readonly Expression[])[]>>;
  readonly maps?: Maps;
}

const JUMPS: Maps = {
  egress4: new Map([[POD, { kind: 'jump', chain: 'eg-1' }]]),
  ingress4: new Map([[OTHER, { kind: 'jump', chain: 'in-1' }]]),
};
const FORWARD = [
  [SADDR, vmap('egress4')],
  [DADDR, vmap('ingress4')],
];
const CHAINS: readonly TableChain[] = [
  base('prerouting'),
  base('forward'),
  { name: 'eg-1', comment: 'a/client' },
  { name: 'in-1', comment: 'a/server' },
];

function kernel({ chains = CHAINS, rules = {}, maps = JUMPS }: Rules = {}): TraceKernel {
  const all: Rules['rules'] = { forward: FORWARD, ...rules };
  return {
    rtnl: {
      paths: (addresses) => addresses.map((each) => PATHS.get(each) ?? { way: 'none' }),
      link: (index) => ({ name: DEVICES[Number(index)] ?? '' }) as ReturnType<TraceKernel['rtnl']['link']>,
    },
    table: {
      chains: () => chains,
      rules: (chain) => (all[chain] ?? []).map((expressions, n) => ({ handle: n + 10, comment: '', expressions })),
      keyBytes: () => 4,
      element: (set, key) => {
        const verdict = maps[set]?.get(key.join('.'));
        return verdict === undefined ? undefined : { verdict };
      },
    },
    texts: (chain) => new Map([[10, `the first rule of ${chain}`]]),
  };
}

function ask(direction: TraceQuestion['direction'], from: Address, to: Address, rules?: Rules): unknown {
  const question = { host: 'n1', direction, from, to, protocol: 'TCP', port: 80 } as const;
  const { verdict, message, chain, position, comment, rule } = traceConnection(question, kernel(rules));
  const place = chain === undefined ? [] : [[chain, position, comment, rule].filter((part) => part !== undefined)];
  return [verdict, message, ...place];
}

const first = (chain: string, comment: string): unknown => [chain, 1, comment, `the first rule of ${chain}`];

test('traceConnection: each direction is judged apart where both ends are on this host', () => {
  const rules = { 'eg-1': [[says('return')]], 'in-1': [[says('drop')]] };
  assert.deepEqual(ask('egress', POD, OTHER, { rules }), ['allow', '', first('eg-1', 'a/client')]);
  assert.deepEqual(ask('ingress', POD, OTHER, { rules }), ['deny', '', first('in-1', 'a/server')]);
  const closed = { 'eg-1': [[says('drop')]], 'in-1': [[says('return')]] };
  assert.deepEqual(ask('ingress', POD, OTHER, { rules: closed }), ['allow', '', first('in-1', 'a/server')]);
  // What forges its address does not get so far, which is a matter of egress.
  const forged = { ...closed, prerouting: [[says('drop')]] };
  assert.deepEqual(ask('egress', POD, OTHER, { rules: forged }), [
    'deny',
    '',
    ['prerouting', 1, 'the first rule of prerouting'],
  ]);
  assert.deepEqual(ask('ingress', POD, OTHER, { rules: forged }), ['allow', '', first('in-1', 'a/server')]);
});

test('traceConnection: what no rule is about is allowed, unless the base chain says otherwise', () => {
  assert.deepEqual(ask('egress', OTHER, FAR), ['allow', 'no rule of chain forward is about it', ['forward']]);
  assert.deepEqual(ask('egress', POD, FAR), ['allow', 'no rule of chain eg-1 is about it', ['eg-1', 'a/client']]);
  const chains = [base('prerouting'), base('forward', { policy: 'drop' })];
  assert.deepEqual(ask('egress', OTHER, FAR, { chains }), [
    'deny',
    'no rule of chain forward is about it',
    ['forward'],
  ]);
});

test('traceConnection: what pods send to this host comes by the input hook, what it sends to them by none', () => {
  assert.deepEqual(ask('egress', POD, HERE), ['allow', 'table inet romana has no chain for what is sent to this host']);
  const chains = [...CHAINS, base('input')];
  const rules = { input: [[says('drop')]] };
  assert.deepEqual(ask('egress', POD, HERE, { chains, rules }), ['deny', '', ['input', 1, 'the first rule of input']]);
  assert.deepEqual(ask('ingress', HERE, POD, { chains, rules: { forward: [[says('drop')]] } }), [
    'allow',
    'what a host sends to its own pods passes none of the rules',
  ]);
});

test('traceConnection: says what it finds where there are no rules, no routes or no pods', () => {
  assert.deepEqual(ask('egress', POD, FAR, { chains: [] }), ['allow', 'the kernel has no table inet romana']);
  assert.deepEqual(ask('ingress', FAR, NOBODY), ['deny', 'no route leads to 10.1.17.9: no pod on this host has it']);
  assert.deepEqual(ask('egress', POD, NOBODY), [
    'unknown',
    'no route leads to 10.1.17.9: nothing gets there, whatever the rules say',
  ]);
  assert.deepEqual(ask('ingress', POD, FAR), ['unknown', "10.2.17.3 is no pod's on this host: it is reached by eth0"]);
  assert.deepEqual(ask('egress', HERE, FAR), [
    'unknown',
    "192.168.99.11 is no pod's on this host: it is of this host itself",
  ]);
});

test('traceConnection: a rule that it cannot tell is no verdict', () => {
  const rules = { 'eg-1': [[{ op: 'unknown', name: 'socket' } as const, says('accept')], [says('drop')]] };
  assert.deepEqual(ask('egress', POD, FAR, { rules }), [
    'unknown',
    'it has the instruction socket, which is not known here',
    ['eg-1', 1, 'a/client', 'the first rule of eg-1'],
  ]);
});
