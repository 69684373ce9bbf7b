/** Specs of upstream's sig-network that do not run on our test clusters, with the reason. */
export interface LeftOut {
  /** Regular expression (Go's, and JavaScript's) over the specs' names. */
  readonly specs: string;
  readonly why: string;
}

/** What no cluster of ours can show, whichever network it has; of the specs that are neither conformance nor policy. */
export const LEFT_OUT: readonly LeftOut[] = [
  {
    specs: String.raw`\[Feature:LoadBalancer\]`,
    why: 'a cloud provider would have to give load balancers addresses; there is none',
  },
  {
    specs: String.raw`\[Feature:Networking-(IPv4|IPv6|DNS)\]`,
    why: 'pods would have to reach machines on the Internet; there is no way out of the test network',
  },
  {
    specs: String.raw`\[Feature:Networking-Performance\]`,
    why: 'measures and judges nothing; npm run bench does',
  },
  {
    specs: String.raw`\[Feature:PerformanceDNS\]`,
    why: 'loads CoreDNS with 10,000 Services; no matter of the network',
  },
  {
    specs: String.raw`\[Feature:KubeProxyDaemonSetMigration\]`,
    why: 'moves kube-proxy between static pods and a DaemonSet; here it is a service of the node',
  },
  {
    specs: String.raw`Services should work after restarting (kube-proxy|apiserver) \[Disruptive\]`,
    why: 'wants kube-proxy and kube-apiserver as pods; here they are services of the node',
  },
  {
    specs: String.raw`should recreate its iptables rules if they are deleted \[Disruptive\]`,
    why: 'reaches nodes by SSH, and tests kube-proxy and kubelet',
  },
  {
    specs: String.raw`\[Provider:GCE\]`,
    why: 'resolves names of that cloud',
  },
  {
    specs: String.raw`\[Feature:SCTPConnectivity\]`,
    why: 'needs SCTP sockets, and kernels without CONFIG_IP_SCTP have none',
  },
  {
    specs: 'Forward PTR lookup',
    why: 'asks for the name of a machine on the Internet first; there is no way out of the test network',
  },
  {
    specs: 'Traffic Distribution should route traffic correctly between pods on multiple nodes',
    why: 'takes six nodes in three zones; a local cluster has four minions at most',
  },
  {
    specs: 'Traffic Distribution should route traffic to an endpoint on the same node or fall back to same zone',
    why: 'takes six nodes in three zones; a local cluster has four minions at most',
  },
];
