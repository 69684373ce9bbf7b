import type { Labels } from '../objects/meta.ts';
import type { Pod } from '../objects/pod.ts';
import { matches, type LabelSelector } from '../objects/selector.ts';
import type { Peer, PodSelection, Policy } from '../policy/model.ts';

/** The values of the segment label that pods or policies name, by namespace. */
export type NamedSegments = ReadonlyMap<string, ReadonlySet<string>>;

/** Pods that take an address; the others never take ids. */
export function takesAddress(pod: Pod): boolean {
  return !pod.hostNetwork;
}

/**
 * What needs segment ids: every value that a pod of the namespace carries, and every value that a policy names for
 * it, in its subject or in a peer. Without the label there is nothing to name: that is segment 0.
 *
 * @param namespaces labels of the namespaces that may get segments, by name.
 */
export function namedSegments(
  segmentLabel: string,
  namespaces: ReadonlyMap<string, Labels>,
  pods: Iterable<Pod>,
  policies: Iterable<Policy>,
): NamedSegments {
  const named = new Map<string, Set<string>>();
  const add = (namespace: string, segment: string): void => {
    if (!namespaces.has(namespace)) return;
    const known = named.get(namespace);
    if (known === undefined) named.set(namespace, new Set([segment]));
    else known.add(segment);
  };
  for (const pod of pods) {
    const segment = takesAddress(pod) ? pod.meta.labels.get(segmentLabel) : undefined;
    if (segment !== undefined) add(pod.meta.namespace, segment);
  }
  for (const selection of selectionsOf(policies)) {
    const segments = valuesFor(selection.pods, segmentLabel);
    if (segments.length === 0) continue;
    for (const namespace of namespacesOf(selection, namespaces)) {
      for (const segment of segments) add(namespace, segment);
    }
  }
  return named;
}

function* selectionsOf(policies: Iterable<Policy>): Iterable<PodSelection> {
  for (const policy of policies) {
    yield policy.subject;
    for (const rule of [...policy.ingress, ...policy.egress]) {
      if (rule.peers === 'any') continue;
      for (const peer of rule.peers) if (isPods(peer)) yield peer.selection;
    }
  }
}

function isPods(peer: Peer): peer is Extract<Peer, { kind: 'pods' }> {
  return peer.kind === 'pods';
}

function valuesFor(selector: LabelSelector, key: string): readonly string[] {
  return selector.requirements.filter((requirement) => requirement.key === key).flatMap(({ values }) => values);
}

function namespacesOf(selection: PodSelection, namespaces: ReadonlyMap<string, Labels>): readonly string[] {
  const { namespaces: wanted } = selection;
  if (wanted.kind === 'names') return wanted.names;
  return [...namespaces].filter(([, labels]) => matches(wanted.selector, labels)).map(([name]) => name);
}
