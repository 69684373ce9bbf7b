import type { Family } from '../addr/address.ts';
import { leaseTexts } from './lease-texts.ts';
import type { RulesetBuilder } from './ruleset-builder.ts';
import { WORDS } from './ruleset-builder.ts';
import type { Snapshot } from './snapshot.ts';

/** How the host's ends of all our veth links begin, and nothing else does. */
export const INTERFACE_PREFIX = 'roma';

/**
 * The spoof check, on every packet before conntrack sees it (DESIGN 5: behind `ct state established accept` a forged
 * packet of a known connection gets through). ARP is not seen by family inet; neighbours of pods are permanent.
 *
 * Other hosts' ranges are checked by reverse path: the host itself never sends by an interface what it would not
 * expect there, and what it sends to itself comes by lo, which is left alone.
 */
export function addSpoofCheck(builder: RulesetBuilder, snapshot: Snapshot): void {
  const families = snapshot.network.plans.map(({ family }) => family);
  const elements: Record<Family, string[]> = { 4: [], 6: [] };
  for (const lease of snapshot.leases) {
    for (const { family, element } of leaseTexts(lease).endpoints) elements[family].push(element);
  }
  for (const family of families) {
    const type = `ifname . ${WORDS[family].type}`;
    builder.set(`endpoints${family}`, type, elements[family], { comment: 'pods of this host' });
  }
  builder.chain('raw', {
    hook: { type: 'filter', hook: 'prerouting', priority: 'raw' },
    comment: 'a source address is an identity',
    rules: [`iifname "${INTERFACE_PREFIX}*" goto from-pod`, 'iifname != "lo" goto from-elsewhere'],
  });
  builder.chain('from-pod', { comment: 'own addresses only', rules: fromPod(families) });
  builder.chain('from-elsewhere', {
    comment: 'no address of this host, none of another from the wrong side',
    rules: families.flatMap((family) => [
      `${WORDS[family].ip} saddr @own${family} drop`,
      // The route back has to leave by the interface that the packet came in by, as rp_filter has it.
      `${WORDS[family].ip} saddr @hosts${family} fib saddr . iif oif missing drop`,
    ]),
  });
}

/**
 * IPv6: neighbour discovery is of hop limit 255 (RFC 4861 7.1) from a link-local or unspecified address, or the pod's
 * own; router solicitations, advertisements and redirects reach nobody (CVE-2020-10749). Addresses of loopback are
 * shut off because portmap makes 127.0.0.0/8 routable.
 */
function fromPod(families: readonly (4 | 6)[]): string[] {
  const rules: string[] = [];
  if (families.includes(4)) rules.push('iifname . ip saddr @endpoints4 ip daddr != 127.0.0.0/8 accept');
  if (families.includes(6)) {
    rules.push(
      'iifname . ip6 saddr @endpoints6 ip6 daddr != ::1 meta l4proto != icmpv6 accept',
      'icmpv6 type { nd-router-solicit, nd-router-advert, nd-redirect } drop',
      'icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit != 255 drop',
      'icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } ip6 saddr { ::, fe80::/10 } accept',
      'iifname . ip6 saddr @endpoints6 ip6 daddr != ::1 accept',
    );
  }
  rules.push('drop');
  return rules;
}
