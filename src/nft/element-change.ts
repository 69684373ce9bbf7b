import { encodeKey } from './element-key.ts';
import { isName } from './ruleset.ts';
import { elementText, nameText } from './text.ts';

/** One element that comes into a set or a verdict map that is there already, or goes out of it. */
export interface ElementChange {
  readonly set: string;
  /** The type of the whole set as nft writes it: `ifname . ipv4_addr`, `ipv4_addr : verdict`. */
  readonly type: string;
  readonly op: 'add' | 'delete';
  /** The text of its key. */
  readonly key: string;
  /** What a map gives for it; '' in a set, and where it goes. */
  readonly value: string;
}

/** The same in the bytes of nf_tables. */
export interface EncodedChange {
  readonly set: string;
  readonly op: 'add' | 'delete';
  readonly key: Uint8Array;
  /** The chain that a verdict map jumps to; undefined in a set, and where it goes. */
  readonly jump: string | undefined;
}

/** What changes that go as elements alone may come to, in bytes: a transaction is one datagram, of at most 64 KiB. */
const MAX_CHANGES_BYTES = 60 * 1024;
/** Headers of one change, and what its names and its key are filled up with. */
const CHANGE_BYTES = 96;

/** The changes as nf_tables takes them, undefined when there is one that is not encoded here or there are too many. */
export function encodeChanges(table: string, changes: readonly ElementChange[]): readonly EncodedChange[] | undefined {
  const encoded: EncodedChange[] = [];
  let bytes = 0;
  for (const change of changes) {
    const one = encodeChange(change);
    if (one === undefined) return undefined;
    bytes += CHANGE_BYTES + table.length + one.set.length + one.key.length + (one.jump?.length ?? 0);
    if (bytes > MAX_CHANGES_BYTES) return undefined;
    encoded.push(one);
  }
  return encoded;
}

/** The command of nft(8) that does the same. */
export function changeText(table: string, { set, op, key, value }: ElementChange): string {
  const element = op === 'add' ? elementText(key, value) : key;
  return `${op} element inet ${nameText(table)} ${nameText(set)} { ${element} }`;
}

function encodeChange({ set, type, op, key, value }: ElementChange): EncodedChange | undefined {
  const [keyType = '', valueType] = type.split(' : ');
  const bytes = encodeKey(keyType, key);
  if (bytes === undefined || (valueType !== undefined && valueType !== 'verdict')) return undefined;
  if (op === 'delete') return { set, op, key: bytes, jump: undefined };
  const jump = value.startsWith('jump ') ? value.slice('jump '.length) : undefined;
  // A set gives nothing, a verdict map a chain to jump to; any other verdict is not written by us.
  const wanted = valueType === undefined ? value === '' : jump !== undefined && isName(jump);
  return wanted ? { set, op, key: bytes, jump } : undefined;
}
