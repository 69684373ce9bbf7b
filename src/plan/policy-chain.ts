import type { Family } from '../addr/address.ts';
import type { Plan } from '../addr/plan.ts';
import type { Direction } from '../policy/model.ts';
import type { ChainMatches, Lookup, SharedPeers } from './chain-matches.ts';
import { cidrNodes, prefixMask } from './cidr-nodes.ts';
import { hostPrefix } from './host-ranges.ts';
import { PEERS_PREFIX } from './peers.ts';
import { portConditions } from './ports.ts';
import { WORDS } from './ruleset-builder.ts';
import type { RulesetBuilder } from './ruleset-builder.ts';
import { setLookup, setLookups } from './set-lookups.ts';
import { peerMask } from './tenancy.ts';

/** What the chains of one plan are made with. */
export interface ChainContext {
  readonly builder: RulesetBuilder;
  readonly plans: readonly Plan[];
}

/** The chain of the policies of the middle tier that select a pod. */
export interface PolicyChain {
  readonly name: string;
  readonly comment: string;
  readonly direction: Direction;
  /** What becomes of a packet that none of the policies allows: `goto` and the chain that denies, or the one that asks on. */
  readonly end: string;
}

/**
 * One chain and its sets: `return` allows. The number of lookups does not grow with the policies whose peers are
 * segments, namespaces, everybody or CIDRs: these cost one lookup for each length of prefix. Peers that are named one by
 * one cost one for each set and list of ports.
 */
export function addPolicyChain(context: ChainContext, chain: PolicyChain, matches: ChainMatches): void {
  if (matches.open === 'any') {
    context.builder.chain(chain.name, { comment: chain.comment, rules: ['return'] });
    return;
  }
  new ChainWriter(context, chain, matches).write();
}

/** Peers in a set, of each family one, and the conditions of the ports that are open to them. */
interface NamedPeers extends SharedPeers {
  readonly name: string;
  readonly conditions: readonly string[];
}

class ChainWriter {
  readonly #context: ChainContext;
  readonly #chain: PolicyChain;
  readonly #matches: ChainMatches;
  readonly #families: readonly Family[];
  #rules: string[] = [];

  constructor(context: ChainContext, chain: PolicyChain, matches: ChainMatches) {
    this.#context = context;
    this.#chain = chain;
    this.#matches = matches;
    this.#families = context.plans.map(({ family }) => family);
  }

  write(): void {
    const { name, end } = this.#chain;
    this.#allow(this.#lookups('ports', { expression: '', type: '' }, [['', this.#matches.open]]));
    const shared = this.#matches.shared.map((peers) => ({
      ...peers,
      name: this.#context.builder.name(PEERS_PREFIX, peers.key),
      conditions: portConditions(peers.ports, (elements) => this.#ports(elements)),
    }));
    for (const family of this.#families) {
      this.#allowLookup('address', family, this.#peer(family));
      this.#allowShared(shared, family);
      this.#allowNamed(family);
    }
    const cidrs = this.#cidrRules();
    // Nobody by bits is one by CIDR all the same, and the other way round.
    const after = cidrs.length === 0 ? end : `goto ${name}-cidrs`;
    const masked = this.#context.plans.flatMap((plan) => this.#maskedRules(plan, after));
    this.#rules.push(...masked);
    if (cidrs.length > 0 && masked.length > 0) {
      this.#finish(name, after);
      this.#finish(`${name}-cidrs`, end, cidrs);
      return;
    }
    this.#finish(name, end, [...this.#rules, ...cidrs]);
  }

  #finish(name: string, end: string, rules: readonly string[] = this.#rules): void {
    this.#context.builder.chain(name, { comment: this.#chain.comment, rules: [...rules, end] });
  }

  #allow(conditions: readonly string[]): void {
    this.#rules.push(...conditions.map((condition) => `${condition} return`));
  }

  #lookups(what: string, ...looked: LookupArguments): readonly string[] {
    return setLookups(this.#context.builder, `${this.#chain.name}-${what}`, ...looked);
  }

  /** `ip saddr` in ingress, `ip daddr` in egress. */
  #peer(family: Family): string {
    return `${WORDS[family].ip} ${this.#side}`;
  }

  get #side(): 'saddr' | 'daddr' {
    return this.#chain.direction === 'ingress' ? 'saddr' : 'daddr';
  }

  /** Bits mean something only inside the range of an assigned host (R32), and where they say what labels say. */
  #maskedRules(plan: Plan, otherwise: string): readonly string[] {
    const { family } = plan;
    const lookups = (['segment', 'tenant'] as const).filter((kind) => this.#matches.has(kind, family));
    if (lookups.length === 0) return [];
    const peer = this.#peer(family);
    return [
      `${hostPrefix(plan, this.#side)} != @hosts${family} ${otherwise}`,
      `${peer} @exceptions${family} ${otherwise}`,
      ...lookups.flatMap((kind) => this.#lookupRules(kind, family, `${peer} & ${peerMask(plan, kind)}`)),
    ];
  }

  #allowLookup(lookup: Lookup, family: Family, expression: string): void {
    this.#rules.push(...this.#lookupRules(lookup, family, expression));
  }

  #lookupRules(lookup: Lookup, family: Family, expression: string): readonly string[] {
    const { type } = WORDS[family];
    const entries = this.#matches.lookup(lookup, family);
    return this.#lookups(`${lookup}${family}`, { expression, type }, entries).map((condition) => `${condition} return`);
  }

  #allowShared(shared: readonly NamedPeers[], family: Family): void {
    const { builder } = this.#context;
    for (const { key, addresses, conditions, ...peers } of shared) {
      const name = `${peers.name}-${family}`;
      builder.shared(name, WORDS[family].type, () => addresses.get(family) ?? [], { comment: key });
      this.#allow(conditions.map((port) => `${this.#peer(family)} @${name}${port === '' ? '' : ` ${port}`}`));
    }
  }

  /** One set for all rules that open the same ports: sets of their own would make each change of the table dearer. */
  #ports(elements: readonly string[]): string {
    const { builder } = this.#context;
    const name = builder.name('ports', elements.join(', '));
    return `@${builder.shared(name, 'inet_proto . inet_service', () => elements)}`;
  }

  #allowNamed(family: Family): void {
    const { builder } = this.#context;
    for (const { key, elements } of this.#matches.named.values()) {
      const name = `${builder.name('named', key)}-${family}`;
      builder.shared(name, `${WORDS[family].type} . inet_proto . inet_service`, () => elements.get(family) ?? []);
      this.#allow([`${this.#peer(family)} . meta l4proto . th dport @${name}`]);
    }
  }

  /** The longest prefix that the peer's address begins with decides. */
  #cidrRules(): readonly string[] {
    return this.#families.flatMap((family) => {
      const { type } = WORDS[family];
      return cidrNodes(family, this.#matches.cidrs).flatMap(([length, nodes]) => {
        const mask = prefixMask(family, length);
        const expression = mask === undefined ? this.#peer(family) : `${this.#peer(family)} & ${mask}`;
        const what = `cidr${family}-${length}`;
        const open = nodes.map(({ base, ports }) => [base, ports] as const);
        const rules = this.#lookups(what, { expression, type }, open).map((condition) => `${condition} return`);
        const stops = nodes.filter(({ ports, overrides }) => overrides && ports !== 'any').map(({ base }) => base);
        if (stops.length === 0) return rules;
        const set = this.#context.builder.set(`${this.#chain.name}-${what}-only`, type, stops);
        return rules.concat(`${setLookup(expression, set)} ${this.#chain.end}`);
      });
    });
  }
}

type LookupArguments = [looked: Parameters<typeof setLookups>[2], entries: Parameters<typeof setLookups>[3]];
