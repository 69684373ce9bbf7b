/** The Lease by which the controllers elect who acts, and by which `romana status` sees that one does. */
export const CONTROLLER_LEASE = { namespace: 'kube-system', name: 'romana-controller' } as const;
