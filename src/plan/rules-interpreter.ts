import { familyOf, fromBits, parseAddress, toBits } from '../addr/address.ts';
import type { Address } from '../addr/address.ts';
import { contains, parseCidr } from '../addr/cidr.ts';
import { unwrap } from '../lib/result.ts';
import type { NftSet, Ruleset } from '../nft/ruleset.ts';

/** The first packet of a connection, as the forward chain sees it. */
export interface FirstPacket {
  readonly iifname: string;
  readonly oifname: string;
  readonly saddr: Address;
  readonly daddr: Address;
  readonly l4proto: 'tcp' | 'udp' | 'sctp' | 'icmp';
  readonly dport: number;
}

type Verdict = 'accept' | 'drop';

/**
 * What the forward chain of a planned ruleset does with a first packet, for tests: it reads the forms of rules that
 * the plan writes, no others (an unknown one throws). Every packet is a plain SYN or no error, without marks.
 */
export function forwardVerdict(ruleset: Ruleset, packet: FirstPacket): Verdict {
  return runChain(ruleset, 'forward', packet) ?? 'accept';
}

/** What becomes of a packet from a pod to the host itself: the same of the input chain, where there is one. */
export function inputVerdict(ruleset: Ruleset, packet: FirstPacket): Verdict {
  return (ruleset.chains.has('input') ? runChain(ruleset, 'input', packet) : undefined) ?? 'accept';
}

function runChain(ruleset: Ruleset, name: string, packet: FirstPacket): Verdict | undefined {
  for (const written of ruleset.chains.get(name)?.rules ?? fail(`no chain ${name}`)) {
    const rule = written.replace(/ comment "[^"]*"$/, '');
    // Counts, and perhaps tells.
    if (TALLY.test(rule)) continue;
    const map = /^(.*) vmap @(\S+)$/.exec(rule);
    if (map !== null) {
      const set = ruleset.sets.get(map[2] ?? '') ?? fail(rule);
      const key = valueOf(map[1] ?? '', packet);
      const jump = key === undefined ? undefined : set.elements.get(key);
      const verdict = jump === undefined ? undefined : runChain(ruleset, jump.replace('jump ', ''), packet);
      if (verdict !== undefined) return verdict;
      continue;
    }
    const [, conditions = '', action = ''] = /^(.*?) ?(accept|drop|return|goto \S+)$/.exec(rule) ?? fail(rule);
    if (!conditionsHold(ruleset, conditions, packet)) continue;
    if (action === 'return') return undefined;
    if (action === 'accept' || action === 'drop') return action;
    return runChain(ruleset, action.replace('goto ', ''), packet);
  }
  return undefined;
}

/** A rule without a verdict. */
const TALLY = /^[io]ifname @[\w-]+(?: limit .* log .*)?$/;
const FIELD = /(?:iifname|oifname|ip6? [sd]addr(?: & \S+)?|meta l4proto|th dport(?: & 0x\w+)?)/.source;
const CONDITION = new RegExp(
  `^(${FIELD}(?: \\. ${FIELD})*) (!= |== )?(@[\\w.-]+|\\{ [^}]* \\}|"[^"]*"|[\\w.-]+)|^(ct (?:mark|state|status) .*|tcp flags .*|icmp(?:v6)? type .*)$`,
);

function conditionsHold(ruleset: Ruleset, text: string, packet: FirstPacket): boolean {
  let rest = text;
  while (rest !== '') {
    const [all, expression, relation, set, never] = CONDITION.exec(rest) ?? fail(rest);
    if (never !== undefined) return false;
    const value = valueOf(expression ?? '', packet);
    if (value === undefined || holds(ruleset, set ?? '', value) === (relation === '!= ')) return false;
    rest = rest.slice(all.length).trimStart();
    if (/^(?:tcp flags|icmp)/.test(rest)) return false;
  }
  return true;
}

/** Undefined: a packet of the other family, to which the rule does not apply. */
function valueOf(expression: string, packet: FirstPacket): string | undefined {
  const values: string[] = [];
  for (const field of expression.split(' . ')) {
    const [, ip, side, mask] = /^(ip6?) ([sd])addr(?: & (\S+))?$/.exec(field) ?? [];
    if (ip !== undefined) {
      const address = side === 's' ? packet.saddr : packet.daddr;
      if (familyOf(address) !== (ip === 'ip' ? 4 : 6)) return undefined;
      values.push(mask === undefined ? address : maskedAddress(address, mask));
    } else if (field.endsWith('ifname')) values.push(`"${field === 'iifname' ? packet.iifname : packet.oifname}"`);
    else if (field === 'meta l4proto') values.push(packet.l4proto);
    else values.push(String(packet.dport & Number(/0x\w+$/.exec(field)?.[0] ?? 0xffff)));
  }
  return values.join(' . ');
}

function maskedAddress(address: Address, mask: string): Address {
  return fromBits(familyOf(address), toBits(address) & toBits(unwrap(parseAddress(mask))));
}

function holds(ruleset: Ruleset, set: string, value: string): boolean {
  if (set.startsWith('"')) return value.startsWith(set.replace(/\*?"$/, ''));
  if (set.startsWith('{'))
    return set
      .slice(2, -2)
      .split(', ')
      .some((element) => elementHolds(element, value));
  if (!set.startsWith('@')) return elementHolds(set, value);
  const named: NftSet = ruleset.sets.get(set.slice(1)) ?? fail(set);
  if (!named.flags.includes('interval')) return named.elements.has(value);
  return [...named.elements.keys()].some((element) => elementHolds(element, value));
}

function elementHolds(element: string, value: string): boolean {
  const parts = value.split(' . ');
  return element.split(' . ').every((part, at) => partHolds(part, parts[at] ?? ''));
}

function partHolds(part: string, value: string): boolean {
  if (part === value) return true;
  const address = parseAddress(value);
  if (part.includes('/')) return address.ok && contains(unwrap(parseCidr(part)), address.value);
  const [first, last] = part.split('-');
  if (first === undefined || last === undefined) return false;
  if (!address.ok) return Number(first) <= Number(value) && Number(value) <= Number(last);
  const bits = toBits(address.value);
  return toBits(first as Address) <= bits && bits <= toBits(last as Address);
}

function fail(what: string): never {
  throw new SyntaxError(`the interpreter does not know ${JSON.stringify(what)}`);
}
