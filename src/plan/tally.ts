import type { Direction } from '../policy/model.ts';
import { leaseTexts } from './lease-texts.ts';
import type { RulesetBuilder } from './ruleset-builder.ts';
import type { Snapshot } from './snapshot.ts';

/** Sets of the interfaces of this host's pods, in each element of which the kernel counts packets. */
export const TALLIES = {
  accepted: { egress: 'accepted-egress', ingress: 'accepted-ingress' },
  denied: { egress: 'denied-egress', ingress: 'denied-ingress' },
} as const satisfies Record<'accepted' | 'denied', Record<Direction, string>>;

/** How the kernel's words on denied packets begin; the direction follows. */
export const DENIED_PREFIX = 'romana ';

/** Of each denied packet so many bytes are told: the longest IPv4 header and ports, or IPv6 and a few extensions. */
const TOLD_BYTES = 128;
/** What is told of each pod and direction, and of all together, so that a flood costs the agent no more than this. */
const TOLD_EACH = 'limit rate 2/second burst 10 packets';
const TOLD_ALL = 'limit rate 20/second burst 100 packets';

/** The interface at which a packet of a pod's `direction` is seen. */
const INTERFACE = { egress: 'iifname', ingress: 'oifname' } as const;

/** What a rule says that denies in `direction`: the packet is counted, perhaps told of, and dropped. */
export function deny(direction: Direction): string {
  return `goto ${TALLIES.denied[direction]}`;
}

/**
 * Declares what counts and tells of what policy decides. A pod is its interface, whose name no other attachment gets:
 * one lookup for both families, and nothing to forget when an address is given again.
 *
 * What is denied is told of by NFLOG as long as the agent listens. The limits are asked in the kernel, first that of
 * the pod, so that none takes the words of another.
 */
export function addTallies(builder: RulesetBuilder, { leases, nflogGroup }: Snapshot): void {
  const pods = leases.map((lease) => leaseTexts(lease).name);
  for (const direction of ['egress', 'ingress'] as const) {
    const { accepted, denied } = { accepted: TALLIES.accepted[direction], denied: TALLIES.denied[direction] };
    builder.set(accepted, 'ifname', pods, { each: 'counter', comment: `connections accepted, ${direction} of pods` });
    builder.set(denied, 'ifname', pods, {
      each: `counter ${TOLD_EACH}`,
      comment: `first packets denied, ${direction} of pods`,
    });
    const known = `${INTERFACE[direction]} @${denied}`;
    const told = `log prefix "${DENIED_PREFIX}${direction}" group ${nflogGroup} snaplen ${TOLD_BYTES}`;
    builder.chain(denied, {
      comment: `what policy denies, ${direction} of pods`,
      rules: [nflogGroup === undefined ? known : `${known} ${TOLD_ALL} ${told}`, 'drop'],
    });
  }
}

/** The end of the forward chain: a connection is counted by its first packet alone, that which makes its entry. */
export function acceptedRules(): string[] {
  return [
    'ct status confirmed accept',
    `${INTERFACE.egress} @${TALLIES.accepted.egress}`,
    `${INTERFACE.ingress} @${TALLIES.accepted.ingress}`,
  ];
}
