import { cidrElements } from './address-ranges.ts';
import { type HeldRange, hostPrefix } from './host-ranges.ts';
import type { RulesetBuilder } from './ruleset-builder.ts';
import { WORDS } from './ruleset-builder.ts';
import type { Snapshot } from './snapshot.ts';

/** Multicast and link-local destinations never leave the link, so nobody there has to answer by a route. */
const NEVER = { 4: '169.254.0.0/16, 224.0.0.0/4, 255.255.255.255', 6: 'fe80::/10, ff00::/8' } as const;

/**
 * Pods of this host under the host's address towards outside: everything that is neither in an assigned host's range
 * nor a node's address nor excluded. Ports are chosen at random, since two pods' queries racing for one port lose one.
 */
export function addMasquerade(builder: RulesetBuilder, snapshot: Snapshot, own: readonly HeldRange[]): void {
  const { enabled, excludeCIDRs } = snapshot.network.masquerade;
  if (!enabled) return;
  const rules: string[] = [];
  for (const { plan, range } of own) {
    const { family } = plan;
    const { ip, type } = WORDS[family];
    const excluded = cidrElements(family, excludeCIDRs);
    const beside = excluded.length === 0 ? '' : ` ${ip} daddr != @unmasked${family}`;
    if (excluded.length > 0) {
      builder.set(`unmasked${family}`, type, excluded, { interval: true, comment: 'masquerade.excludeCIDRs' });
    }
    rules.push(
      `${ip} saddr ${range} ${hostPrefix(plan, 'daddr')} != @hosts${family} ${ip} daddr != @nodes${family}${beside} ` +
        `${ip} daddr != { ${NEVER[family]} } masquerade fully-random`,
    );
  }
  builder.chain('postrouting', {
    hook: { type: 'nat', hook: 'postrouting', priority: 'srcnat' },
    comment: 'masquerade towards outside',
    rules,
  });
}
