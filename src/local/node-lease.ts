/**
 * The Leases of nodes (KEP-589): a runtime renews its node's as long as it lives. They are shorter than Kubernetes'
 * (10 s and 40 s), so that one sees soon what becomes of a node.
 */
export const NODE_LEASE = { namespace: 'kube-node-lease', renewMs: 2_000, seconds: 10 } as const;
