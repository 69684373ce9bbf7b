import { API_SERVER, type NodeLayout } from '../cluster-layout.ts';
import { IN_NODE, type Service } from '../services.ts';
import { hostPort, type Networking, type ProxyMode } from './networking.ts';
import { ETC } from './pki.ts';

/** The services whose flags can be added to. */
export type Component = 'kube-apiserver' | 'kube-controller-manager' | 'kube-scheduler' | 'kubelet' | 'kube-proxy';

/** What decides on the services of a node. */
export interface ServiceOptions {
  readonly checkout: string;
  readonly networking: Networking;
  readonly proxy: ProxyMode;
  /** Further flags, such as `--feature-gates`. */
  readonly flags: Partial<Record<Component, readonly string[]>>;
}

/** Port of the image registry on the master's address. */
export const REGISTRY_PORT = 5000;

const ETCD = 'http://127.0.0.1:2379';
const ETCD_PEER = 'http://127.0.0.1:2380';

/** All that a node keeps running. */
export function kubernetesServices(node: NodeLayout, options: ServiceOptions): readonly Service[] {
  const { proxy } = options;
  const everywhere = [containerd(), kubelet(node, options), ...(proxy === 'none' ? [] : [kubeProxy(options)])];
  if (!node.master) return everywhere;
  return [
    registry(options),
    etcd(),
    apiServer(options),
    localForward(options),
    controllerManager(options),
    scheduler(options),
    ...everywhere,
  ];
}

/** The images' registry, which stands for all registries. */
function registry({ checkout, networking }: ServiceOptions): Service {
  return {
    name: 'registry',
    words: [
      `${checkout}/bin/romana`,
      'local-registry',
      '--listen',
      hostPort(networking.apiAddress, REGISTRY_PORT),
      '--images',
      `${IN_NODE.programs}/images`,
      '--images',
      IN_NODE.images,
    ],
  };
}

/** Hands on what comes to 127.0.0.1 of the machine, where people call the API server. */
function localForward({ checkout, networking }: ServiceOptions): Service {
  return {
    name: 'local-forward',
    socket: true,
    words: [
      `${checkout}/bin/romana`,
      'local-forward',
      '--listen-fd',
      '3',
      '--to',
      hostPort(networking.apiAddress, API_SERVER.port),
    ],
  };
}

function etcd(): Service {
  return {
    name: 'etcd',
    words: [
      'etcd',
      '--name=etcd',
      '--data-dir=/var/lib/etcd',
      '--unsafe-no-fsync',
      '--log-level=warn',
      `--listen-client-urls=${ETCD}`,
      `--advertise-client-urls=${ETCD}`,
      `--listen-peer-urls=${ETCD_PEER}`,
      `--initial-advertise-peer-urls=${ETCD_PEER}`,
      `--initial-cluster=etcd=${ETCD_PEER}`,
    ],
  };
}

function apiServer({ networking, flags }: ServiceOptions): Service {
  const pki = `${ETC}/pki`;
  return {
    name: 'kube-apiserver',
    words: [
      'kube-apiserver',
      `--etcd-servers=${ETCD}`,
      '--bind-address=::',
      `--secure-port=${API_SERVER.port}`,
      `--advertise-address=${networking.apiAddress}`,
      `--tls-cert-file=${pki}/apiserver.crt`,
      `--tls-private-key-file=${pki}/apiserver.key`,
      `--client-ca-file=${pki}/ca.crt`,
      `--kubelet-client-certificate=${pki}/apiserver-kubelet-client.crt`,
      `--kubelet-client-key=${pki}/apiserver-kubelet-client.key`,
      `--kubelet-certificate-authority=${pki}/ca.crt`,
      '--kubelet-preferred-address-types=InternalIP,Hostname',
      '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
      `--service-account-key-file=${pki}/sa.pub`,
      `--service-account-signing-key-file=${pki}/sa.key`,
      `--requestheader-client-ca-file=${pki}/front-proxy-ca.crt`,
      '--requestheader-allowed-names=front-proxy-client',
      '--requestheader-extra-headers-prefix=X-Remote-Extra-',
      '--requestheader-group-headers=X-Remote-Group',
      '--requestheader-username-headers=X-Remote-User',
      '--enable-aggregator-routing=true',
      `--proxy-client-cert-file=${pki}/front-proxy-client.crt`,
      `--proxy-client-key-file=${pki}/front-proxy-client.key`,
      '--authorization-mode=Node,RBAC',
      '--enable-admission-plugins=NodeRestriction',
      '--allow-privileged=true',
      `--service-cluster-ip-range=${networking.serviceCidrs.join(',')}`,
      ...(flags['kube-apiserver'] ?? []),
    ],
  };
}

/** The flags by which a component reaches the API server and judges who calls it. */
function asUser(name: string): readonly string[] {
  const file = `${ETC}/${name}.kubeconfig`;
  return ['--bind-address=127.0.0.1', '--leader-elect=false'].concat(
    ['kubeconfig', 'authentication-kubeconfig', 'authorization-kubeconfig'].map((flag) => `--${flag}=${file}`),
  );
}

/** Until the API server listens these would end, and be started again and again. A kubectl each time takes longer. */
function onceServed({ networking }: ServiceOptions): readonly string[] {
  return ['bash', '-c', `: < /dev/tcp/${networking.apiAddress}/${API_SERVER.port}`];
}

/** It hands out no podCIDRs: addresses are Romana's. */
function controllerManager(options: ServiceOptions): Service {
  const name = 'kube-controller-manager';
  return {
    name,
    after: onceServed(options),
    words: [
      name,
      ...asUser(name),
      '--use-service-account-credentials=true',
      `--service-account-private-key-file=${ETC}/pki/sa.key`,
      `--root-ca-file=${ETC}/pki/ca.crt`,
      `--client-ca-file=${ETC}/pki/ca.crt`,
      `--requestheader-client-ca-file=${ETC}/pki/front-proxy-ca.crt`,
      `--cluster-signing-cert-file=${ETC}/pki/ca.crt`,
      `--cluster-signing-key-file=${ETC}/pki/ca.key`,
      '--allocate-node-cidrs=false',
      ...(options.flags[name] ?? []),
    ],
  };
}

function scheduler(options: ServiceOptions): Service {
  const name = 'kube-scheduler';
  return { name, after: onceServed(options), words: [name, ...asUser(name), ...(options.flags[name] ?? [])] };
}

function containerd(): Service {
  return { name: 'containerd', words: ['containerd', '--config', `${ETC}/containerd.toml`] };
}

function kubelet(node: NodeLayout, { flags }: ServiceOptions): Service {
  return {
    name: 'kubelet',
    after: ['ctr', 'version'],
    words: [
      'kubelet',
      `--config=${ETC}/kubelet.yaml`,
      `--kubeconfig=${ETC}/kubelet.kubeconfig`,
      `--hostname-override=${node.name}`,
      `--node-ip=${node.addresses.join(',')}`,
      '--cert-dir=/var/lib/kubelet/pki',
      ...(node.master ? [`--register-with-taints=${CONTROL_PLANE}=:NoSchedule`] : []),
      '--v=2',
      ...(flags.kubelet ?? []),
    ],
  };
}

function kubeProxy({ flags }: ServiceOptions): Service {
  const words = ['kube-proxy', `--config=${ETC}/kube-proxy.yaml`, '--v=2', ...(flags['kube-proxy'] ?? [])];
  return { name: 'kube-proxy', words };
}

/** Label and taint of the master (kubernetes.io, "Well-Known Labels, Annotations and Taints"). */
export const CONTROL_PLANE = 'node-role.kubernetes.io/control-plane';

/** The Node object of a node, as an administrator makes it before the kubelet finds it. */
export function nodeObject(node: NodeLayout): object {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: node.name, labels: node.master ? { [CONTROL_PLANE]: '' } : {} },
    spec: node.master ? { taints: [{ key: CONTROL_PLANE, effect: 'NoSchedule' }] } : {},
  };
}
