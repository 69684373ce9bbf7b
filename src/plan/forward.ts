import type { Family } from '../addr/address.ts';
import { ChainCompiler } from './chains.ts';
import type { PolicyInput } from './chains.ts';
import type { Policy } from '../policy/model.ts';
import { comparePriority } from '../policy/world.ts';
import type { LocalPod } from './known-pods.ts';
import { leaseTexts } from './lease-texts.ts';
import { addHostInput } from './host-input.ts';
import { REVOKED_MARK } from './revoked-mark.ts';
import { WORDS } from './ruleset-builder.ts';
import type { RulesetBuilder } from './ruleset-builder.ts';
import { INTERFACE_PREFIX } from './spoof.ts';
import type { Lease } from './snapshot.ts';
import type { Standing, Subjects } from './subjects.ts';
import { acceptedRules } from './tally.ts';

const DIRECTIONS = ['egress', 'ingress'] as const;

/**
 * The verdicts on what is forwarded, after service translation: a chain for every distinct set of policies that
 * select a pod of this host, and a map from each such pod's address to its chain. A pod that nothing is forbidden is
 * in no map. A direction is judged on the host of the pod that it is about: egress at the source, ingress at the
 * destination; within one host a packet meets both.
 */
export function addForward(
  builder: RulesetBuilder,
  input: PolicyInput & { readonly subjects: Subjects },
): { readonly unenforced: readonly Policy[] } {
  const compiler = new ChainCompiler(builder, input);
  const maps = {
    egress: { 4: new Map<string, string>(), 6: new Map<string, string>() },
    ingress: { 4: new Map<string, string>(), 6: new Map<string, string>() },
    host: { 4: new Map<string, string>(), 6: new Map<string, string>() },
  };
  const unenforced = new Set<Policy>();
  for (const local of input.known.locals) {
    const standings = standingsOf(input.subjects, local, input.snapshot.network.segmentLabel);
    const { ingress, egress } = standings;
    for (const policy of [...faultyOf(ingress), ...faultyOf(egress)]) unenforced.add(policy);
    const verdicts = {
      egress: egress && compiler.verdict('egress', egress, local),
      ingress: ingress && compiler.verdict('ingress', ingress, local),
      host: egress && compiler.hostVerdict(egress),
    };
    for (const { address, family } of leaseTexts(local.lease).endpoints) {
      for (const which of ['egress', 'ingress', 'host'] as const) {
        const verdict = verdicts[which];
        if (verdict !== undefined) maps[which][family].set(address, verdict);
      }
    }
  }
  const families = input.snapshot.network.plans.map(({ family }) => family);
  for (const direction of DIRECTIONS) {
    for (const family of families) {
      const comment = `pods that policies select for ${direction}`;
      builder.verdicts(`${direction}${family}`, family, maps[direction][family], comment);
    }
  }
  for (const family of families) {
    builder.chain(`errors${family}`, {
      comment: 'a pod complains of its own connections only',
      rules: errorRules(family),
    });
  }
  builder.chain('forward', {
    hook: { type: 'filter', hook: 'forward', priority: 'filter' },
    comment: 'policy, for the first packet of each connection',
    rules: forwardRules(families),
  });
  addHostInput(
    builder,
    families.map((family) => [family, maps.host[family]]),
  );
  return { unenforced: [...unenforced].sort(comparePriority) };
}

/** Declares who is both ends of a connection of its own through a Service. */
export function addSelves(builder: RulesetBuilder, leases: readonly Lease[]): void {
  const selves = leases.map((lease) => leaseTexts(lease).self);
  builder.set('self', 'ifname . ifname', selves, { comment: 'a pod and itself, through a Service' });
}

const faulty = new WeakMap<Standing, readonly Policy[]>();

/** Those of a standing of which something fails closed. */
function faultyOf(standing: Standing | undefined): readonly Policy[] {
  if (standing === undefined) return [];
  const before = faulty.get(standing);
  if (before !== undefined) return before;
  const { admin, policies, baseline } = standing;
  const all = [...admin.map(({ policy }) => policy), ...policies, ...baseline.map(({ policy }) => policy)];
  const found = all.filter(({ problems }) => problems.length > 0);
  faulty.set(standing, found);
  return found;
}

function forwardRules(families: readonly Family[]): string[] {
  const notPlainSyn = 'tcp flags & (fin | syn | rst | ack) != syn drop';
  return [
    `ct mark & 0x${REVOKED_MARK.toString(16)} != 0 drop`,
    'ct state established accept',
    ...families.map((f) => `iifname "${INTERFACE_PREFIX}*" ${WORDS[f].errors} goto errors${f}`),
    'ct state related accept',
    `iifname "${INTERFACE_PREFIX}*" ${notPlainSyn}`,
    `oifname "${INTERFACE_PREFIX}*" ${notPlainSyn}`,
    // A veth that is not known yet is sent nothing.
    ...families.map((f) => `oifname "${INTERFACE_PREFIX}*" oifname . ${WORDS[f].ip} daddr != @endpoints${f} drop`),
    'iifname . oifname @self accept',
    ...families.map((f) => `${WORDS[f].ip} saddr vmap @egress${f}`),
    ...families.map((f) => `${WORDS[f].ip} daddr vmap @ingress${f}`),
    ...acceptedRules(),
  ];
}

/**
 * An ICMP error is related to the connection that it quotes, whoever sends it, so that it would pass without policy.
 * From a pod it must be about a connection of the pod's own: who began it or who answers (after DNAT) is behind the
 * interface that the error comes by. One about a connection that this host does not know is dropped as well, or
 * the host of who is told, where it is known, would take it for related.
 */
function errorRules(family: Family): string[] {
  const { ip } = WORDS[family];
  return [
    `iifname . ct reply ${ip} saddr @endpoints${family} ct state related accept`,
    `iifname . ct original ${ip} saddr @endpoints${family} ct state related accept`,
    'drop',
  ];
}

/** A pod that the API does not show (any more) keeps what its lease says; a finished one is nobody. */
function standingsOf(
  subjects: Subjects,
  { lease, pod, finished }: LocalPod,
  segmentLabel: string,
): ReturnType<Subjects['of']> {
  if (finished) return subjects.ofUnknown();
  if (pod !== undefined) return subjects.of(lease.namespace, { labels: pod.meta.labels, known: 'all' });
  const labels = new Map(lease.segment === null ? [] : [[segmentLabel, lease.segment]]);
  return subjects.of(lease.namespace, { labels, known: 'segment' });
}
