import { test } from 'node:test';
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { mergePorts, portSet, portText } from './ports.ts';
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
  assert.ok(set !== 'any');
  assert.deepEqual(set.map(portText), ['sctp . 0-65535', 'tcp . 80', 'tcp . 8080']);
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
