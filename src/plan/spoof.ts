import type { Family } from '../addr/address.ts';
import { type HeldRange, hostPrefix } from './host-ranges.ts';
import { leaseTexts } from './lease-texts.ts';
import type { RulesetBuilder } from './ruleset-builder.ts';
import { WORDS } from './ruleset-builder.ts';
import type { Snapshot } from './snapshot.ts';

/** How the host's ends of all our veth links begin, and nothing else does. */
export const INTERFACE_PREFIX = 'roma';

/** Conntrack puts fragments together at -400 (NF_IP_PRI_CONNTRACK_DEFRAG, NF_IP6_PRI_CONNTRACK_DEFRAG). */
const BEFORE_DEFRAGMENTATION = -450;

/**
 * The spoof check, on every packet before conntrack sees it (DESIGN 5: behind `ct state established accept` a forged
 * packet of a known connection gets through), and on every fragment before it is put together with others: by its
 * source address and number alone, whatever interface it came by (measured: a pod's forged last fragment completed
 * another's packet, and what came of both went by the other's interface). ARP is not seen by family inet; neighbours
 * of pods are permanent.
 *
 * Other hosts' ranges are checked by reverse path: the host itself never sends by an interface what it would not
 * expect there, and what it sends to itself comes by lo, which is left alone. Where the host has one uplink alone, other
 * hosts' packets come by that one: looking the route up for each of them costs 5 % of all connections per second.
 */
export function addSpoofCheck(builder: RulesetBuilder, snapshot: Snapshot, own: readonly HeldRange[]): void {
  const families = snapshot.network.plans.map(({ family }) => family);
  const elements: Record<Family, string[]> = { 4: [], 6: [] };
  for (const lease of snapshot.leases) {
    for (const { family, element } of leaseTexts(lease).endpoints) elements[family].push(element);
  }
  for (const family of families) {
    const type = `ifname . ${WORDS[family].type}`;
    builder.set(`endpoints${family}`, type, elements[family], { comment: 'pods of this host' });
  }
  const uplink = onlyUplink(snapshot);
  builder.chain('raw', {
    hook: { type: 'filter', hook: 'prerouting', priority: String(BEFORE_DEFRAGMENTATION) },
    comment: 'a source address is an identity',
    rules: [
      `iifname "${INTERFACE_PREFIX}*" goto from-pod`,
      ...(uplink === undefined ? [] : [`iifname "${uplink}" goto from-uplink`]),
      'iifname != "lo" goto from-elsewhere',
    ],
  });
  builder.chain('from-pod', { comment: 'own addresses only', rules: fromPod(families) });
  if (uplink !== undefined) {
    builder.chain('from-uplink', {
      comment: 'no address of this host',
      rules: own.map(noneOfOurs),
    });
  }
  builder.chain('from-elsewhere', {
    comment: 'no address of this host, none of another from the wrong side',
    rules: own.flatMap((held) => [
      noneOfOurs(held),
      // The route back has to leave by the interface that the packet came in by, as rp_filter has it.
      `${hostPrefix(held.plan, 'saddr')} @hosts${held.plan.family} fib saddr . iif oif missing drop`,
    ]),
  });
}

function noneOfOurs({ plan, range }: HeldRange): string {
  return `${WORDS[plan.family].ip} saddr ${range} drop`;
}

/** The interface by which all other hosts are reached, when it is one alone, and of a name that nft takes as it is. */
function onlyUplink({ uplinks }: Snapshot): string | undefined {
  const [name = ''] = uplinks;
  return uplinks.length === 1 && /^[A-Za-z0-9._-]{1,15}$/.test(name) ? name : undefined;
}

/**
 * A packet's own address decides; only of ICMP is more looked at, so that all else is done after one rule.
 *
 * What routers alone may say reaches nobody: redirects and router discovery (RFC 792, RFC 1256; RFC 4861,
 * CVE-2020-10749). Neighbour discovery is of hop limit 255 (RFC 4861 7.1), on the link alone from a link-local or
 * unspecified address, or else from the pod's own. Addresses of loopback are shut off because portmap makes
 * 127.0.0.0/8 routable.
 *
 * Fragments are still single here. The type of ICMPv6 may be missing from the first one (RFC 7112), which is dropped;
 * it is never in the later ones. That of ICMP is always in the first.
 */
function fromPod(families: readonly (4 | 6)[]): string[] {
  const rules: string[] = [];
  if (families.includes(4)) {
    const own = 'iifname . ip saddr @endpoints4 ip daddr != 127.0.0.0/8';
    rules.push(
      `${own} ip protocol != icmp accept`,
      `${own} icmp type { redirect, router-advertisement, router-solicitation } drop`,
      `${own} accept`,
    );
  }
  if (families.includes(6)) {
    const own = 'iifname . ip6 saddr @endpoints6 ip6 daddr != ::1';
    rules.push(
      `${own} meta l4proto != icmpv6 accept`,
      'icmpv6 type { nd-router-solicit, nd-router-advert, nd-redirect } drop',
      'icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit != 255 drop',
      'icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } ip6 saddr { ::, fe80::/10 } ip6 daddr { fe80::/10, ff02::/16 } accept',
      `${own} icmpv6 type 0-255 accept`,
      `${own} frag frag-off != 0 accept`,
    );
  }
  rules.push('drop');
  return rules;
}
