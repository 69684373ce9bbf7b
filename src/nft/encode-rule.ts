import { encodeKey } from './element-key.ts';
import type { Expression, RuleVerdict } from './machine.ts';
import { isName, MAX_COMMENT_CHARS } from './ruleset.ts';

/** A rule as nf_tables has it. */
export interface EncodedRule {
  readonly expressions: readonly Expression[];
  readonly comment: string | undefined;
  /** The set that stands in the rule itself, if any; a lookup names it ANONYMOUS. */
  readonly anonymous?: AnonymousSet;
}

/** A set in braces. */
export interface AnonymousSet {
  readonly fields: readonly string[];
  readonly keys: readonly Uint8Array[];
}

/** What the kernel makes the name of a set in braces of (nf_tables_set_alloc_name). */
export const ANONYMOUS = '__set%d';

/** Register 1 of nf_tables, as a word. */
const FIRST = 4;
const FAMILIES = { ip: { nfproto: 2, type: 'ipv4_addr' }, ip6: { nfproto: 10, type: 'ipv6_addr' } } as const;
/** Of the addresses in the IP header. */
const ADDRESSES = {
  ip: { saddr: 12, daddr: 16, length: 4 },
  ip6: { saddr: 8, daddr: 24, length: 16 },
} as const;
const DPORT = { offset: 2, length: 2 } as const;

const FIELD = String.raw`(?:ip6? [sd]addr(?: & [0-9a-f.:]+)?|meta l4proto|th dport(?: & 0x[0-9a-f]{1,4})?)`;
const CONDITION = new RegExp(
  String.raw`^(${FIELD}(?: \. ${FIELD})*) (?:(!=|==) )?(?:@([^ ]+)|\{ ([^{}"]+) \}|(tcp|udp|sctp|\d+)|(\d+)-(\d+)) `,
);
const END = /^(?:(accept|drop|return)|(jump|goto) ([^ ]+))(?: comment "([^"\\]*)")?$/;

/**
 * A rule of the planner's language in the expressions that libnftables 1.0.6 makes of it, none of them known here by
 * more than that: lookups of addresses, protocols and ports and of what masks leave of them, single protocols and
 * ports, and a verdict. Undefined for any other rule, even if it only looks otherwise.
 */
export function encodeRule(text: string): EncodedRule | undefined {
  const writer = new RuleWriter();
  let rest = text;
  for (let match = CONDITION.exec(rest); match !== null; match = CONDITION.exec(rest)) {
    if (!writer.condition(match)) return undefined;
    rest = rest.slice(match[0].length);
  }
  const [whole, simple, call, chain = '', comment] = END.exec(rest) ?? [];
  if (whole === undefined || (comment?.length ?? 0) > MAX_COMMENT_CHARS) return undefined;
  if (call !== undefined && !isName(chain)) return undefined;
  const verdict =
    call === undefined ? { kind: simple as 'accept' | 'drop' | 'return' } : { kind: call as 'jump' | 'goto', chain };
  return writer.end(verdict, comment);
}

class RuleWriter {
  readonly #expressions: Expression[] = [];
  /** Of which family packets are known to be, by the conditions before. */
  #family: keyof typeof FAMILIES | undefined;
  /** Whether the protocol has been asked for: libnftables may put what is asked twice into one, or refuse it. */
  #protocolAsked = false;
  /** Whether it is known: only then does libnftables take a port by its number. */
  #protocolKnown = false;
  #anonymous: AnonymousSet | undefined;

  condition([, left = '', relation, set, braced, value, low, high]: RegExpExecArray): boolean {
    const fields = left.split(' . ');
    if (fields.includes('meta l4proto')) {
      if (this.#protocolAsked) return false;
      this.#protocolAsked = true;
    }
    if (set !== undefined) {
      const known = isName(set) && !left.startsWith('th ');
      return known && this.#load(fields) && this.#lookup(set, relation === '!=');
    }
    if (relation !== undefined || fields.some((field) => field.includes('&'))) return false;
    if (braced !== undefined) return this.#among(fields, braced.split(', '));
    if (left === 'meta l4proto' && value !== undefined) return this.#protocol(value);
    if (left !== 'th dport' || !this.#protocolKnown) return false;
    return value === undefined ? this.#ports(low ?? '', high ?? '') : this.#port(value);
  }

  end(verdict: RuleVerdict, comment: string | undefined): EncodedRule {
    const expressions: readonly Expression[] = [...this.#expressions, { op: 'verdict', verdict }];
    const anonymous = this.#anonymous;
    return { expressions, comment, ...(anonymous === undefined ? {} : { anonymous }) };
  }

  #lookup(set: string, inverse: boolean): true {
    this.#expressions.push({ op: 'lookup', set, from: FIRST, inverse, verdict: false });
    return true;
  }

  #compare(relation: 'eq' | 'gte' | 'lte', data: Uint8Array | undefined): boolean {
    if (data === undefined) return false;
    this.#expressions.push({ op: 'compare', from: FIRST, relation, data });
    return true;
  }

  #protocol(name: string): boolean {
    this.#protocolKnown = true;
    return this.#load(['meta l4proto']) && this.#compare('eq', encodeKey('inet_proto', name));
  }

  #port(value: string): boolean {
    return this.#load(['th dport']) && this.#compare('eq', encodeKey('inet_service', value));
  }

  #ports(low: string, high: string): boolean {
    if (Number(low) >= Number(high)) return false;
    const [from, to] = [low, high].map((port) => encodeKey('inet_service', port));
    return this.#load(['th dport']) && this.#compare('gte', from) && this.#compare('lte', to);
  }

  /** libnftables makes a comparison of a set of one. */
  #among(fields: readonly string[], elements: readonly string[]): boolean {
    const types = fields.map((field) => (field === 'meta l4proto' ? 'inet_proto' : 'inet_service'));
    const type = types.join(' . ');
    if (type !== 'inet_proto' && type !== 'inet_proto . inet_service') return false;
    const [first = ''] = elements;
    if (elements.length === 1) return type === 'inet_proto' && this.#protocol(first);
    const keys = elements.map((element) => encodeKey(type, element)).filter((key) => key !== undefined);
    const complete = keys.length === elements.length && new Set(elements).size === elements.length;
    if (!complete || this.#anonymous !== undefined) return false;
    this.#anonymous = { fields: types, keys };
    return this.#load(fields) && this.#lookup(ANONYMOUS, false);
  }

  /** Loads fields one behind the other, each from a word on, after asking for the family that has them. */
  #load(fields: readonly string[]): boolean {
    let to = FIRST;
    for (const [index, field] of fields.entries()) {
      const [where = '', mask] = field.split(' & ');
      const [header = '', name] = where.split(' ');
      let length: number = DPORT.length;
      if (header === 'ip' || header === 'ip6') {
        if (index > 0 || !this.#of(header)) return false;
        length = ADDRESSES[header].length;
        const offset = ADDRESSES[header][name === 'saddr' ? 'saddr' : 'daddr'];
        this.#expressions.push({ op: 'payload', base: 'network', offset, length, to });
      } else if (header === 'meta') {
        length = 1;
        this.#expressions.push({ op: 'meta', key: 'l4proto', to });
      } else {
        this.#expressions.push({ op: 'payload', base: 'transport', ...DPORT, to });
      }
      if (mask !== undefined && !this.#mask(maskBytes(header, mask), to)) return false;
      to += Math.ceil(length / 4);
    }
    return true;
  }

  #of(family: keyof typeof FAMILIES): boolean {
    if (this.#family !== undefined) return this.#family === family;
    this.#family = family;
    this.#expressions.push({ op: 'meta', key: 'nfproto', to: FIRST });
    return this.#compare('eq', Uint8Array.of(FAMILIES[family].nfproto));
  }

  #mask(mask: Uint8Array | undefined, register: number): boolean {
    if (mask === undefined) return false;
    this.#expressions.push({ op: 'bitwise', from: register, to: register, mask, xor: new Uint8Array(mask.length) });
    return true;
  }
}

function maskBytes(header: string, mask: string): Uint8Array | undefined {
  if (header === 'ip' || header === 'ip6') return encodeKey(FAMILIES[header].type, mask);
  if (!mask.startsWith('0x')) return undefined;
  return encodeKey('inet_service', String(Number(mask)));
}
