import type { Family } from '../addr/address.ts';
import { REVOKED_MARK } from './revoked-mark.ts';
import { WORDS } from './ruleset-builder.ts';
import type { RulesetBuilder } from './ruleset-builder.ts';
import { INTERFACE_PREFIX } from './spoof.ts';

/**
 * The verdicts on what pods send to their own host, where egress rules of cluster policies forbid any of it: without
 * them there is no such chain. What the host sends to pods, such as the kubelet's probes, and replies always pass.
 *
 * @param verdicts by family, from the address of a pod to the jump to its chain.
 */
export function addHostInput(
  builder: RulesetBuilder,
  verdicts: readonly (readonly [Family, ReadonlyMap<string, string>])[],
): void {
  if (verdicts.every(([, map]) => map.size === 0)) return;
  for (const [family, map] of verdicts) {
    builder.verdicts(`host${family}`, family, map, 'pods that may not send everything to this host');
  }
  builder.chain('input', {
    hook: { type: 'filter', hook: 'input', priority: 'filter' },
    comment: 'policy between pods and this host',
    rules: [
      `iifname != "${INTERFACE_PREFIX}*" accept`,
      `ct mark & 0x${REVOKED_MARK.toString(16)} != 0 drop`,
      'ct state established,related accept',
      'icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept',
      ...verdicts.map(([family]) => `${WORDS[family].ip} saddr vmap @host${family}`),
    ],
  });
}
