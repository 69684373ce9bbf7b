import type { Answer } from '../objects/selector.ts';
import { inCommonFamilies, matchesPeers, matchesPorts, type Port } from './match.ts';
import { policyName, type Rule } from './model.ts';
import { nearMisses, type Attempt } from './near.ts';
import { partyName, type Party } from './party.ts';
import { indexOf, type PolicyIndex, type Selecting, type World } from './world.ts';

export type { Port } from './match.ts';
export type { World } from './world.ts';

/** Whether a new connection may be made. */
export type Verdict = 'allow' | 'deny';

/** What decided, in one direction. */
export interface Reason {
  readonly verdict: Verdict;
  /**
   * always: a host and its own pods, a pod and itself, ends that no policy selects. admin, baseline: a cluster policy.
   * policy: a v1 or demo policy allows. isolation: isolated, and none does. default: nobody had anything to say.
   */
  readonly tier: 'always' | 'admin' | 'policy' | 'isolation' | 'baseline' | 'default';
  /** What decided: `demo NetworkPolicy tenant-a/pol1`, `Namespace tenant-a`, `Node minion1`; '' where nothing did. */
  readonly object: string;
  /** Where in `object`: `spec.ingress[0].from[1]`; '' where there is no one place. */
  readonly field: string;
  /** When isolation denied: why each policy that selects the pod did not allow it, the nearest first. */
  readonly near: readonly string[];
}

/** The verdict on a new connection: allowed if both directions are. */
export interface Decision {
  readonly verdict: Verdict;
  /** As `from` is judged, and `to`. */
  readonly egress: Reason;
  readonly ingress: Reason;
}

function reason(verdict: Verdict, tier: Reason['tier'], object = '', field = ''): Reason {
  return { verdict, tier, object, field, near: [] };
}

/** The place of the peer that matched: sources of all kinds call the list `from` and `to`. */
function peerField(rule: Rule, attempt: Attempt, index: number): string {
  return index < 0 ? rule.field : `${rule.field}.${attempt.direction === 'ingress' ? 'from' : 'to'}[${index}]`;
}

function matchRule(rule: Rule, attempt: Attempt): { readonly answer: Answer; readonly index: number } {
  const ports = matchesPorts(rule.ports, attempt.port, attempt.destination);
  if (ports === 'no') return { answer: 'no', index: -1 };
  const peers = matchesPeers(attempt.world, rule.peers, attempt.peer);
  return { answer: ports === 'unknown' && peers.answer === 'yes' ? 'unknown' : peers.answer, index: peers.index };
}

/**
 * What the cluster policies of one tier say; undefined when they pass it on.
 * What is not known is closed: an Accept that only may match does not; a Deny that may match does; after a Pass that
 * only may match, what follows in the tier can still deny, but no longer accept.
 */
function clusterTier(
  attempt: Attempt,
  tier: 'admin' | 'baseline',
  selecting: readonly Selecting[],
): Reason | undefined {
  let perhapsPassed = false;
  for (const { policy, subject } of selecting) {
    for (const rule of policy[attempt.direction]) {
      const match = matchRule(rule, attempt);
      if (match.answer === 'no') continue;
      const certain = subject === 'yes' && match.answer === 'yes';
      const field = peerField(rule, attempt, match.index);
      if (rule.action === 'Deny') return reason('deny', tier, policyName(policy), field);
      if (certain && (perhapsPassed || rule.action === 'Pass')) return undefined;
      if (certain) return reason('allow', tier, policyName(policy), field);
      if (rule.action === 'Pass') perhapsPassed = true;
    }
  }
  return undefined;
}

/** The namespace whose annotation isolates the subject for ingress, as an object; undefined if none does. */
function isolatingNamespace(attempt: Attempt): string | undefined {
  if (attempt.direction !== 'ingress') return undefined;
  // What nobody knows may be a pod of an isolated namespace.
  if (attempt.subject.kind !== 'pod') return `unknown Namespace of ${partyName(attempt.subject)}`;
  const namespace = attempt.world.namespaces.get(attempt.subject.namespace);
  if (namespace === undefined) return `unknown Namespace ${attempt.subject.namespace}`;
  return namespace.isolated ? `Namespace ${attempt.subject.namespace}` : undefined;
}

/** What v1 and demo policies and isolation say; undefined when none of them says anything. */
function policyTier(attempt: Attempt, all: readonly Selecting[]): Reason | undefined {
  // A v1 policy says nothing of a direction that it does not isolate.
  const selecting = all.filter(({ policy }) => policy.source !== 'v1' || policy.isolates[attempt.direction]);
  for (const { policy, subject } of selecting) {
    if (subject === 'unknown') continue;
    for (const rule of policy[attempt.direction]) {
      const match = matchRule(rule, attempt);
      if (match.answer === 'yes') {
        return reason('allow', 'policy', policyName(policy), peerField(rule, attempt, match.index));
      }
    }
  }
  const namespace = isolatingNamespace(attempt);
  const isolating = selecting.filter(({ policy }) => policy.isolates[attempt.direction]);
  if (namespace === undefined && isolating.length === 0) return undefined;
  return isolation(attempt, namespace, isolating, selecting);
}

/** That nothing allowed what isolation denies. Words are found only for those who read them: most want the verdict. */
function isolation(
  attempt: Attempt,
  namespace: string | undefined,
  isolating: readonly Selecting[],
  selecting: readonly Selecting[],
): Reason {
  return {
    verdict: 'deny',
    tier: 'isolation',
    get object() {
      return namespace ?? isolating.map(({ policy }) => policyName(policy)).join(', ');
    },
    field: namespace === undefined ? 'spec' : 'metadata.annotations',
    get near() {
      return nearMisses(attempt, selecting);
    },
  };
}

function isOwnHost(pod: Party, host: Party): boolean {
  return pod.kind === 'pod' && host.kind === 'host' && pod.node !== '' && pod.node === host.name;
}

function isSamePod(a: Party, b: Party): boolean {
  if (a.kind !== 'pod' || b.kind !== 'pod' || a.name === '') return false;
  return a.namespace === b.namespace && a.name === b.name;
}

function judge(attempt: Attempt, index: PolicyIndex): Reason {
  const { subject, peer, direction } = attempt;
  if (subject.kind === 'host' || subject.kind === 'outside') return reason('allow', 'always');
  if (isSamePod(subject, peer)) return reason('allow', 'always', `Pod ${partyName(subject)}`);
  const ownHost = isOwnHost(subject, peer)
    ? reason('allow', 'always', `Node ${peer.kind === 'host' ? peer.name : ''}`)
    : undefined;
  if (ownHost !== undefined && direction === 'ingress') return ownHost;
  const { admin, middle, baseline } = index.selecting(subject);
  return (
    clusterTier(attempt, 'admin', admin) ??
    // Only cluster policies come between a pod and its own host.
    (ownHost === undefined ? policyTier(attempt, middle) : undefined) ??
    clusterTier(attempt, 'baseline', baseline) ??
    ownHost ??
    reason('allow', 'default')
  );
}

/**
 * The oracle: whether `from` may open a connection to `port` of `to` (after service translation), and why.
 * Order: what is always allowed; Admin tier; v1 policies, demo policies and isolation; Baseline tier; allow.
 *
 * A demo policy that matches allows, whether its pods are isolated or not: it is asked before the Baseline tier, so
 * that switching isolation off never closes what it opened.
 *
 * What is not known is closed: the answer is `allow` only if it would be so whatever turns out (`unknown` parties, pods
 * of which only the segment is known, namespaces that are not there). Each end's host decides its own direction with
 * what it knows: an agent must look only at the reasons of the ends that are its own pods.
 */
export function evaluate(world: World, from: Party, to: Party, port: Port): Decision {
  const index = indexOf(world);
  const [source, destination] = inCommonFamilies(from, to);
  const common = { world, destination, port };
  const egress = judge({ ...common, direction: 'egress', subject: source, peer: destination }, index);
  const ingress = judge({ ...common, direction: 'ingress', subject: destination, peer: source }, index);
  return { verdict: egress.verdict === 'allow' && ingress.verdict === 'allow' ? 'allow' : 'deny', egress, ingress };
}
