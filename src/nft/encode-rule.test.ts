import { test } from 'node:test';
import assert from 'node:assert/strict';
import { encodeRule } from './encode-rule.ts';

// That what is encoded is what libnftables makes of it, test/packets/kernel-nft-batch.test.ts asks the kernel.

/** What libnftables would read otherwise than it looks, or what is no form of the planner's. */
const OTHERS = [
  '',
  'ip daddr @s',
  'ip daddr @s vmap @m',
  'ip daddr @s continue',
  'ip daddr 10.0.0.1 drop',
  'ip daddr != 10.0.0.1 drop',
  'ip daddr @s counter drop',
  'ip daddr @s drop comment "a" drop',
  'ip daddr @s drop comment "a\\"b"',
  `ip daddr @s drop comment "${'a'.repeat(129)}"`,
  'ip daddr & 10 @s drop',
  'ip daddr & fd00:: @s drop',
  'ip daddr @s ip6 daddr @t drop',
  'meta l4proto . ip daddr @s drop',
  'th dport 80 drop',
  'th dport @s drop',
  'meta l4proto udp th dport 90-80 drop',
  'meta l4proto udp th dport 80-80 drop',
  'meta l4proto udp th dport 65536 drop',
  'meta l4proto udp th dport & 0xff00 80 drop',
  'meta l4proto != udp drop',
  'meta l4proto 17 drop',
  'meta l4proto tcp meta l4proto { udp } drop',
  'meta l4proto { tcp, tcp } drop',
  'meta l4proto { tcp, 17 } drop',
  'meta l4proto . th dport { tcp . 80 } drop',
  'ip daddr { 10.0.0.1, 10.0.0.2 } drop',
  'jump two words',
] as const;

for (const rule of OTHERS) {
  test(`encodeRule leaves to libnftables: ${rule}`, () => {
    assert.equal(encodeRule(rule), undefined);
  });
}

test('encodeRule loads the fields of a concatenation one behind the other, each from a register on', () => {
  assert.deepEqual(encodeRule('ip6 saddr & ffff:: . meta l4proto . th dport @s return comment "x"'), {
    expressions: [
      { op: 'meta', key: 'nfproto', to: 4 },
      { op: 'compare', from: 4, relation: 'eq', data: Uint8Array.of(10) },
      { op: 'payload', base: 'network', offset: 8, length: 16, to: 4 },
      {
        op: 'bitwise',
        from: 4,
        to: 4,
        mask: Uint8Array.of(0xff, 0xff, ...Array.from({ length: 14 }, () => 0)),
        xor: new Uint8Array(16),
      },
      { op: 'meta', key: 'l4proto', to: 8 },
      { op: 'payload', base: 'transport', offset: 2, length: 2, to: 9 },
      { op: 'lookup', set: 's', from: 4, inverse: false, verdict: false },
      { op: 'verdict', verdict: { kind: 'return' } },
    ],
    comment: 'x',
  });
});
