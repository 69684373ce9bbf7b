import type { NodeLayout } from '../cluster-layout.ts';
import { hostPort, type Networking, type ProxyMode } from './networking.ts';
import { ETC, type Files } from './pki.ts';
import { REGISTRY_PORT } from './services.ts';

/** What decides on the configuration of a node. */
export interface NodeFilesOptions {
  readonly networking: Networking;
  readonly proxy: ProxyMode;
  /** The node's own cgroup, from the root of a hierarchy. */
  readonly cgroup: string;
}

/** The configuration of a node's services: files of its /etc/kubernetes. Kubernetes reads JSON as YAML. */
export function nodeFiles(node: NodeLayout, options: NodeFilesOptions): Files {
  const registry = `http://${hostPort(options.networking.apiAddress, REGISTRY_PORT)}`;
  return {
    'resolv.conf': `nameserver ${options.networking.dnsAddress}\n`,
    'kubelet.yaml': json(kubeletConfiguration(options)),
    'kube-proxy.yaml': json(proxyConfiguration(node, options)),
    'containerd.toml': CONTAINERD,
    // Every registry is the one on the master, see local-registry.
    'registries/_default/hosts.toml': `server = "${registry}"
[host."${registry}"]
  capabilities = ["pull", "resolve"]
`,
  };
}

function kubeletConfiguration({ networking, cgroup }: NodeFilesOptions): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    failCgroupV1: false,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: cgroup,
    containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
    staticPodPath: `${ETC}/manifests`,
    authentication: {
      x509: { clientCAFile: `${ETC}/pki/ca.crt` },
      webhook: { enabled: true },
      anonymous: { enabled: false },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: `${ETC}/pki/kubelet.crt`,
    tlsPrivateKeyFile: `${ETC}/pki/kubelet.key`,
    clusterDomain: 'cluster.local',
    clusterDNS: [networking.dnsAddress],
    resolvConf: `${ETC}/resolv.conf`,
    failSwapOn: false,
    // The disk is the machine's, and as full as that is.
    evictionHard: {
      'memory.available': '100Mi',
      'nodefs.available': '1%',
      'imagefs.available': '1%',
      'nodefs.inodesFree': '1%',
    },
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    nodeStatusUpdateFrequency: '5s',
    syncFrequency: '10s',
    serializeImagePulls: false,
  };
}

/** What is the cluster's comes from interfaces of Romana's pods, since there are no podCIDRs to tell it by. */
function proxyConfiguration(node: NodeLayout, { networking, proxy }: NodeFilesOptions): object {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    clientConnection: { kubeconfig: `${ETC}/kube-proxy.kubeconfig` },
    mode: proxy === 'none' ? '' : proxy,
    detectLocalMode: 'InterfaceNamePrefix',
    detectLocal: { interfaceNamePrefix: 'roma' },
    hostnameOverride: node.name,
    bindAddress: networking.families[0] === 6 ? '::' : '0.0.0.0',
    // How many connections there may be is the whole machine's; how long they are kept, the node's own.
    conntrack: { maxPerCore: 0, min: 0 },
  };
}

const CONTAINERD = `version = 3
root = '/var/lib/containerd'
state = '/run/containerd'
[grpc]
  address = '/run/containerd/containerd.sock'
[plugins.'io.containerd.cri.v1.images']
  snapshotter = 'overlayfs'
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = 'registry.k8s.io/pause:3.10'
  [plugins.'io.containerd.cri.v1.images'.registry]
    config_path = '${ETC}/registries'
[plugins.'io.containerd.cri.v1.runtime']
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins.'io.containerd.cri.v1.runtime'.containerd]
    default_runtime_name = 'runc'
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
      runtime_type = 'io.containerd.runc.v2'
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ['/opt/cni/bin']
    conf_dir = '/etc/cni/net.d'
[plugins.'io.containerd.nri.v1.nri']
  disable = true
`;

function json(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
