import { hostPrefix } from './host-ranges.ts';
import type { Address, Family } from '../addr/address.ts';
import type { Plan } from '../addr/plan.ts';
import type { Direction } from '../policy/model.ts';
import { rangeElements } from './address-ranges.ts';
import { portsKey } from './chain-matches.ts';
import type { ChainMatches, Lookup } from './chain-matches.ts';
import type { NamePool } from './name-pool.ts';
import { hasIntervals, portText } from './ports.ts';
import type { PortRange, PortSet } from './ports.ts';
import { WORDS } from './ruleset-builder.ts';
import type { RulesetBuilder } from './ruleset-builder.ts';
import { peerMask } from './tenancy.ts';

const PORT = 'meta l4proto . th dport';
const PORT_TYPE = 'inet_proto . inet_service';

/** What the chains of one plan are made with. */
export interface ChainContext {
  readonly builder: RulesetBuilder;
  readonly plans: readonly Plan[];
  readonly names: NamePool;
}

/**
 * One chain and its sets: `return` allows, the end drops. The number of lookups does not grow with the policies
 * whose peers are segments, namespaces, everybody or CIDRs with the same ports; peers that are named one by one cost
 * one lookup for each set and list of ports.
 */
export function addPolicyChain(
  context: ChainContext,
  chain: { readonly name: string; readonly comment: string; readonly direction: Direction },
  matches: ChainMatches,
): void {
  const { name, comment } = chain;
  const rules = matches.open === 'any' ? ['return'] : new ChainWriter(context, chain, matches).rules();
  context.builder.chain(name, { comment, rules });
}

class ChainWriter {
  readonly #context: ChainContext;
  readonly #name: string;
  readonly #direction: Direction;
  readonly #matches: ChainMatches;
  readonly #rules: string[] = [];

  constructor(context: ChainContext, chain: { name: string; direction: Direction }, matches: ChainMatches) {
    this.#context = context;
    this.#name = chain.name;
    this.#direction = chain.direction;
    this.#matches = matches;
  }

  rules(): readonly string[] {
    const { open } = this.#matches;
    if (open !== 'any' && open.length > 0) this.#allow(`${PORT} @${this.#portsSet(open)}`);
    for (const { family } of this.#context.plans) {
      this.#allowLookup('address', family, this.#peer(family));
      this.#allowShared(family);
      this.#allowNamed(family);
      this.#allowCidrs(family);
    }
    for (const plan of this.#context.plans) this.#allowMasked(plan);
    this.#rules.push('drop');
    return this.#rules;
  }

  #allow(match: string): void {
    this.#rules.push(`${match} return`);
  }

  /** `ip saddr` in ingress, `ip daddr` in egress. */
  #peer(family: Family): string {
    return `${WORDS[family].ip} ${this.#direction === 'ingress' ? 'saddr' : 'daddr'}`;
  }

  #portsSet(ports: readonly PortRange[]): string {
    const interval = hasIntervals(ports);
    const name = `${this.#name}-ports${interval ? '-ranges' : ''}`;
    return this.#context.builder.set(name, PORT_TYPE, ports.map(portText), { interval });
  }

  /** Bits mean something only inside the range of an assigned host (R32), and where they say what labels say. */
  #allowMasked(plan: Plan): void {
    const { family } = plan;
    const lookups = (['segment', 'tenant'] as const).filter((kind) => this.#matches.has(kind, family));
    if (lookups.length === 0) return;
    const peer = this.#peer(family);
    const prefix = hostPrefix(plan, this.#direction === 'ingress' ? 'saddr' : 'daddr');
    this.#rules.push(`${prefix} != @hosts${family} drop`, `${peer} @exceptions${family} drop`);
    for (const kind of lookups) this.#allowLookup(kind, family, `${peer} & ${peerMask(plan, kind)}`);
  }

  #allowLookup(lookup: Lookup, family: Family, expression: string): void {
    const anyPort: Address[] = [];
    const ports: string[] = [];
    let interval = false;
    for (const [value, open] of this.#matches.lookup(lookup, family)) {
      if (open === 'any') {
        anyPort.push(value);
        continue;
      }
      interval ||= hasIntervals(open);
      for (const range of open) ports.push(`${value} . ${portText(range)}`);
    }
    const { type } = WORDS[family];
    const name = `${this.#name}-${lookup}${family}`;
    if (ports.length > 0) {
      const set = `${name}${interval ? '-ranges' : ''}`;
      this.#allow(
        `${expression} . ${PORT} @${this.#context.builder.set(set, `${type} . ${PORT_TYPE}`, ports, { interval })}`,
      );
    }
    if (anyPort.length > 0) {
      const relation = lookup === 'address' ? '' : '== ';
      this.#allow(`${expression} ${relation}@${this.#context.builder.set(`${name}-any`, type, anyPort)}`);
    }
  }

  #allowShared(family: Family): void {
    for (const { key, addresses, ports } of this.#matches.shared) {
      const name = `${this.#context.names.name('peers', key)}-${family}`;
      if (!this.#context.builder.has(name)) {
        this.#context.builder.set(name, WORDS[family].type, addresses.get(family) ?? [], { comment: key });
      }
      this.#allow(`${this.#peer(family)} @${name}${portsMatch(ports)}`);
    }
  }

  #allowNamed(family: Family): void {
    for (const { key, elements } of this.#matches.named.values()) {
      const name = `${this.#context.names.name('named', key)}-${family}`;
      if (!this.#context.builder.has(name)) {
        this.#context.builder.set(name, `${WORDS[family].type} . ${PORT_TYPE}`, elements.get(family) ?? []);
      }
      this.#allow(`${this.#peer(family)} . ${PORT} @${name}`);
    }
  }

  #allowCidrs(family: Family): void {
    for (const [key, { ports, ranges }] of this.#matches.cidrs) {
      const elements = rangeElements(family, ranges);
      if (elements.length === 0) continue;
      const name = this.#context.names.name(`${this.#name}-cidr${family}`, key);
      this.#context.builder.set(name, WORDS[family].type, elements, { interval: true });
      this.#allow(`${this.#peer(family)} @${name}${portsMatch(ports)}`);
    }
  }
}

function portsMatch(ports: PortSet): string {
  return ports === 'any' ? '' : ` ${PORT} { ${portsKey(ports)} }`;
}
