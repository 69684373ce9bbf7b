import { ok } from '../lib/result.ts';
import { parseClusterNetworkPolicy } from '../objects/cluster-network-policy.ts';
import { parseDemoPolicy } from '../objects/demo-policy.ts';
import type { Parsed } from '../objects/meta.ts';
import { parseNetworkPolicy } from '../objects/network-policy.ts';
import { CLUSTER_NETWORK_POLICIES, DEMO_POLICIES, NETWORK_POLICIES, type Resource } from '../objects/resources.ts';
import { withinBounds } from './bounds.ts';
import { clusterPolicy } from './from-cluster.ts';
import { demoPolicy } from './from-demo.ts';
import { v1Policy } from './from-v1.ts';
import type { Policy } from './model.ts';

/** A kind of object that makes policy. */
export interface PolicyKind {
  readonly resource: Resource;
  /** Whether a cluster may be without it: it comes with no Kubernetes. */
  readonly optional: boolean;
  /** Reads what an API server shows. */
  readonly parse: (json: unknown) => Parsed<Policy>;
}

function kind<T>(
  resource: Resource,
  parse: (json: unknown) => Parsed<T>,
  make: (object: T) => Policy,
  optional = false,
): PolicyKind {
  return {
    resource,
    optional,
    parse: (json) => {
      const parsed = parse(json);
      return parsed.ok ? ok(withinBounds(make(parsed.value))) : parsed;
    },
  };
}

/** Every kind of object that makes policy; the isolation of Namespaces comes beside them. */
export const POLICY_KINDS: readonly PolicyKind[] = [
  kind(DEMO_POLICIES, parseDemoPolicy, demoPolicy),
  kind(NETWORK_POLICIES, parseNetworkPolicy, v1Policy),
  kind(CLUSTER_NETWORK_POLICIES, parseClusterNetworkPolicy, clusterPolicy, true),
];
