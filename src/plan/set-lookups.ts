import { portBlocks } from './ports.ts';
import type { PortSet } from './ports.ts';
import type { RulesetBuilder } from './ruleset-builder.ts';

/** What is looked up: an expression of nft(8) and the type of its values; '' for ports alone. */
export interface Looked {
  readonly expression: string;
  readonly type: string;
}

const PROTOCOL = { expression: 'meta l4proto', type: 'inet_proto' };

/**
 * Declares the sets that hold `entries`, values with the ports that are open to them, and returns conditions, one of
 * which is true of a packet exactly if its value and port are among them.
 *
 * Ranges of ports are looked up block by block of equal size, at most 16 of them however many ranges there are: sets of
 * intervals show the elements of a new one late (R9). The other lookups are one for single ports, one for all ports of
 * a protocol, one for anything.
 *
 * @param name of the set with single ports; those of the others begin with it.
 */
export function setLookups(
  builder: RulesetBuilder,
  name: string,
  { expression, type }: Looked,
  entries: Iterable<readonly [value: string, ports: PortSet]>,
): readonly string[] {
  const anyPort: string[] = [];
  /** By size of the blocks in bits. */
  const blocks = new Map<number, string[]>();
  for (const [value, ports] of entries) {
    if (ports === 'any') anyPort.push(value);
    for (const { protocol, base, bits } of ports === 'any' ? [] : ports.flatMap(portBlocks)) {
      const key = [value, protocol.toLowerCase(), ...(bits === 16 ? [] : [base])].filter((part) => part !== '');
      const list = blocks.get(bits);
      if (list === undefined) blocks.set(bits, [key.join(' . ')]);
      else list.push(key.join(' . '));
    }
  }
  const conditions: string[] = [];
  for (const [bits, elements] of [...blocks].sort(([a], [b]) => a - b)) {
    const fields = [{ expression, type }, PROTOCOL, ...(bits === 16 ? [] : [portField(bits)])].filter(
      (field) => field.expression !== '',
    );
    const suffix = bits === 0 ? '' : bits === 16 ? '-protocols' : `-ports${1 << bits}`;
    const set = builder.set(`${name}${suffix}`, fields.map((field) => field.type).join(' . '), elements);
    conditions.push(`${fields.map((field) => field.expression).join(' . ')} @${set}`);
  }
  if (anyPort.length > 0) conditions.push(setLookup(expression, builder.set(`${name}-any`, type, anyPort)));
  return conditions;
}

/** The condition that the value of `expression` is in a set, as nft(8) itself writes it. */
export function setLookup(expression: string, set: string): string {
  return `${expression} ${expression.includes('&') ? '== ' : ''}@${set}`;
}

function portField(bits: number): Looked {
  const mask = (0x1_0000 - (1 << bits)).toString(16);
  return { expression: bits === 0 ? 'th dport' : `th dport & 0x${mask}`, type: 'inet_service' };
}
