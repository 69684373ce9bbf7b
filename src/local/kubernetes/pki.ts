import { generateKeyPairSync } from 'node:crypto';
import { type Authority, type KeyPair, makeAuthority, openAuthority } from '../certificates.ts';
import { API_SERVER, type ClusterLayout, type NodeLayout } from '../cluster-layout.ts';
import { kubeconfigText } from '../pki.ts';
import { apiUrl, type Networking } from './networking.ts';

/** A file and what is in it. */
export type Files = Readonly<Record<string, string>>;

/** The certificates of a Kubernetes cluster (kubernetes.io, "PKI certificates and requirements"). */
export interface KubernetesPki {
  /** PEM, of the cluster's authority. */
  readonly ca: string;
  /** Of people: in the group system:masters. */
  readonly people: KeyPair;
  /** People's kubeconfig inside the nodes. */
  readonly peopleKubeconfig: string;
  /** Files of the node's /etc/kubernetes. */
  filesOf(node: NodeLayout): Files;
}

/** What credentials of a node are made by and with. */
interface Issuer {
  readonly ca: Authority;
  /** A kubeconfig with a proof of who one is. */
  readonly kubeconfig: (proof: KeyPair) => string;
  readonly proxyKubeconfig: string;
}

/** Where the files are in a node. */
export const ETC = '/etc/kubernetes';

/** Makes all certificates of a cluster's life. */
export async function makeKubernetesPki(layout: ClusterLayout, networking: Networking): Promise<KubernetesPki> {
  const [ca, frontProxyCa] = await Promise.all([makeAuthority('kubernetes-ca'), makeAuthority('front-proxy-ca')]);
  const kubeconfig = (proof: KeyPair): string =>
    kubeconfigText({ name: layout.name, server: apiUrl(networking), ca: ca.certificate, ...proof });
  const user = (commonName: string, organization?: string): Promise<KeyPair> =>
    ca.issue({ commonName, use: 'client', ...(organization === undefined ? {} : { organization }) });

  const people = await user('admin', 'system:masters');
  const proxy = await user('system:kube-proxy');
  const master = await masterFiles(ca, frontProxyCa, networking, async (name) => kubeconfig(await user(name)));
  const issuer = { ca, kubeconfig, proxyKubeconfig: kubeconfig(proxy) };
  const files = new Map<NodeLayout, Files>();
  for (const node of layout.nodes) {
    files.set(node, { ...(node.master ? master : {}), ...(await everyNodesFiles(issuer, node)) });
  }
  const peopleKubeconfig = kubeconfig(people);
  return { ca: ca.certificate, people, peopleKubeconfig, filesOf: (node) => files.get(node) ?? {} };
}

/**
 * The credentials of one more node, by the authority of the cluster's life.
 *
 * @param master files of the master's /etc/kubernetes: those that `makeKubernetesPki` made.
 */
export async function extendKubernetesPki(
  { name, networking, master }: { name: string; networking: Networking; master: (file: string) => string },
  node: NodeLayout,
): Promise<Files> {
  const ca = openAuthority({ certificate: master('pki/ca.crt'), key: master('pki/ca.key') });
  const kubeconfig = (proof: KeyPair): string =>
    kubeconfigText({ name, server: apiUrl(networking), ca: ca.certificate, ...proof });
  return everyNodesFiles({ ca, kubeconfig, proxyKubeconfig: master('kube-proxy.kubeconfig') }, node);
}

async function everyNodesFiles({ ca, kubeconfig, proxyKubeconfig }: Issuer, node: NodeLayout): Promise<Files> {
  const identity = { commonName: `system:node:${node.name}`, organization: 'system:nodes' };
  const kubelet = await ca.issue({ ...identity, use: 'client' });
  const serving = await ca.issue({ ...identity, use: 'server', names: [node.name], ips: node.addresses });
  return {
    'pki/ca.crt': ca.certificate,
    'pki/kubelet.crt': serving.certificate,
    'pki/kubelet.key': serving.key,
    'kubelet.kubeconfig': kubeconfig(kubelet),
    'kube-proxy.kubeconfig': proxyKubeconfig,
  };
}

async function masterFiles(
  ca: Authority,
  frontProxyCa: Authority,
  networking: Networking,
  kubeconfigFor: (user: string) => Promise<string>,
): Promise<Files> {
  const service = 'kubernetes.default.svc';
  const apiserver = await ca.issue({
    commonName: 'kube-apiserver',
    use: 'server',
    names: ['localhost', 'kubernetes', 'kubernetes.default', service, `${service}.cluster.local`],
    ips: ['127.0.0.1', '::1', API_SERVER.address, API_SERVER.address6, ...networking.apiServiceAddresses],
  });
  const toKubelets = await ca.issue({
    commonName: 'kube-apiserver-kubelet-client',
    organization: 'system:masters',
    use: 'client',
  });
  const frontProxy = await frontProxyCa.issue({ commonName: 'front-proxy-client', use: 'client' });
  const serviceAccount = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return {
    'pki/ca.key': ca.key,
    'pki/apiserver.crt': apiserver.certificate,
    'pki/apiserver.key': apiserver.key,
    'pki/apiserver-kubelet-client.crt': toKubelets.certificate,
    'pki/apiserver-kubelet-client.key': toKubelets.key,
    'pki/front-proxy-ca.crt': frontProxyCa.certificate,
    'pki/front-proxy-client.crt': frontProxy.certificate,
    'pki/front-proxy-client.key': frontProxy.key,
    'pki/sa.pub': serviceAccount.publicKey,
    'pki/sa.key': serviceAccount.privateKey,
    'kube-controller-manager.kubeconfig': await kubeconfigFor('system:kube-controller-manager'),
    'kube-scheduler.kubeconfig': await kubeconfigFor('system:kube-scheduler'),
  };
}
