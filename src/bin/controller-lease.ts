/** The Lease by which the controllers elect who acts, and by which `romana status` sees that one does. */
export const CONTROLLER_LEASE = {
  name: 'romana-controller',
  /** Where it may be: that of an installation, and that of a local cluster without one. */
  namespaces: ['romana-system', 'kube-system'],
} as const;
