import type { Namespace } from '../../objects/namespace.ts';
import type { Node } from '../../objects/node.ts';
import type { Pod } from '../../objects/pod.ts';
import type { HeldRange } from '../../policy/connection-ends.ts';
import { policyName, type Policy } from '../../policy/model.ts';
import type { DocumentPlace } from '../read-manifests.ts';

/** A cluster's objects that decide verdicts, from files or from an API server. */
export interface PolicyWorld {
  /** Pods' label that addresses' bits name. */
  readonly segmentLabel: string;
  /** Each by `namespace/name`, or `name`; policies by the name that messages have for them (`policyName`). */
  readonly namespaces: ReadonlyMap<string, Namespace>;
  readonly nodes: ReadonlyMap<string, Node>;
  readonly pods: ReadonlyMap<string, Pod>;
  readonly policies: ReadonlyMap<string, Policy>;
  /** Where pods' addresses are: an address in them that no pod has may be any pod's. Empty offline. */
  readonly ranges: readonly HeldRange[];
  /** Where objects stand in files, by the names that reasons have for them: `Namespace a`, `NetworkPolicy a/b`. */
  readonly places: ReadonlyMap<string, DocumentPlace>;
  /** What people should know of how it was read, a line each. */
  readonly notes: readonly string[];
}

/** One line for each problem because of which some of a policy fails closed. */
export function problemNotes(policy: Policy): readonly string[] {
  return policy.problems.map(({ field, message }) => `${policyName(policy)}: ${field}: ${message}: it fails closed`);
}
