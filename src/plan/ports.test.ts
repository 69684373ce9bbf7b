import { test } from 'node:test';
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { mergePorts, portBlocks, portConditions, portSet, portsKey } from './ports.ts';
import type { PortRange } from './ports.ts';

const range: fc.Arbitrary<PortRange> = fc
  .record({
    protocol: fc.constantFrom('TCP' as const, 'UDP' as const),
    from: fc.nat({ max: 40 }),
    length: fc.nat({ max: 9 }),
  })
  .map(({ protocol, from, length }) => ({ protocol, from, to: from + length }));

function covered(ranges: readonly PortRange[]): Set<string> {
  const ports = new Set<string>();
  for (const { protocol, from, to } of ranges)
    for (let port = from; port <= to; port++) ports.add(`${protocol} ${port}`);
  return ports;
}

test('mergePorts keeps the same ports, in ranges that neither overlap nor touch', () => {
  fc.assert(
    fc.property(fc.array(range), (ranges) => {
      const merged = mergePorts(ranges);
      assert.deepEqual([...covered(merged)].sort(), [...covered(ranges)].sort());
      for (const [index, { protocol, from }] of merged.entries()) {
        const last = merged[index - 1];
        assert.ok(last === undefined || last.protocol !== protocol || from > last.to + 1);
      }
    }),
  );
});

function names(name: string): readonly number[] {
  return name === 'http' ? [80, 8080] : [];
}

test('portSet resolves names of the pod, and a name that it does not have opens nothing', () => {
  const set = portSet(
    [
      { protocol: 'TCP', ports: { name: 'http' } },
      { protocol: 'UDP', ports: { name: 'dns' } },
      { protocol: 'SCTP', ports: 'any' },
    ],
    names,
  );
  assert.equal(portsKey(set), 'sctp . 0-65535, tcp . 80, tcp . 8080');
  assert.deepEqual(portConditions(set), ['meta l4proto { sctp }', 'meta l4proto . th dport { tcp . 80, tcp . 8080 }']);
});

test('portSet of no ports is none, and not any', () => {
  assert.deepEqual(
    portSet([], () => []),
    [],
  );
  assert.equal(
    portSet('any', () => []),
    'any',
  );
});

const wide = fc
  .tuple(fc.integer({ min: 2, max: 65_535 }), fc.integer({ min: 2, max: 65_535 }))
  .map(([a, b]): PortRange => ({ protocol: 'TCP', from: Math.min(a, b), to: Math.max(a, b) }));

test('portBlocks are of whole leading bits, in a row, and hold exactly the range', () => {
  fc.assert(
    fc.property(wide, (all) => {
      const blocks = portBlocks(all);
      assert.ok(blocks.length <= Math.max(30, Math.min(256, all.to - all.from + 1)));
      let next = all.from;
      for (const { base, bits } of blocks) {
        assert.equal(base, next);
        assert.equal(base % (1 << bits), 0);
        next += 1 << bits;
      }
      assert.equal(next, all.to + 1);
    }),
  );
});

test('portBlocks of all ports is one, with or without port 0', () => {
  const one = [{ protocol: 'UDP', base: 0, bits: 16 }];
  assert.deepEqual(portBlocks({ protocol: 'UDP', from: 0, to: 65_535 }), one);
  assert.deepEqual(portBlocks({ protocol: 'UDP', from: 1, to: 65_535 }), one);
  assert.deepEqual(portBlocks({ protocol: 'UDP', from: 1, to: 1 }), [{ protocol: 'UDP', base: 1, bits: 0 }]);
});
