import { existsSync, mkdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { KubeClient } from '../../kube/client.ts';
import { awaitReady, awaitStart } from '../await-ready.ts';
import { nodeCgroup } from '../cgroups.ts';
import type { ClusterLayout, NodeLayout } from '../cluster-layout.ts';
import { holdService, makeNodeFolder, prepareNode, releaseService } from '../nodes.ts';
import type { Making, UpOptions } from '../up.ts';
import { awaitInstalled } from './await-installed.ts';
import { createObjects } from './create-objects.ts';
import { dnsObjects } from './dns.ts';
import { lackOfInotify } from './inotify.ts';
import { imagesFolder, loadImage } from './load-image.ts';
import { networkingOf, type Networking, type ProxyMode } from './networking.ts';
import { nodeFiles } from './node-files.ts';
import { extendKubernetesPki, type Files, makeKubernetesPki } from './pki.ts';
import { type Component, kubernetesServices, nodeObject } from './services.ts';

/** What a cluster of the kubernetes flavour is made of. */
export interface KubernetesParts {
  /** The checkout, absolute. */
  readonly checkout: string;
  /** Folder of Kubernetes' programs, CNI plugins and images. */
  readonly programs: string;
  readonly proxy: ProxyMode;
  /** Further flags of Kubernetes' components. */
  readonly flags?: Partial<Record<Component, readonly string[]>>;
  /** Makes what may be missing of the programs. */
  readonly providePrograms?: () => Promise<void>;
  /** What to install as the network; undefined: nothing, and the nodes stay NotReady. */
  readonly romana: (() => Promise<Installation>) | undefined;
}

/** An installation of Romana. */
export interface Installation {
  /** Archive of the image that the objects name. */
  readonly image: string;
  /** Kubernetes objects, as JSON, in the order in which they can be made. */
  readonly objects: readonly object[];
}

/** The flavour with the real etcd, API server, controller manager, scheduler, containerd and kubelet. */
export function kubernetes(parts: KubernetesParts): Making {
  let installation: Installation | undefined;
  return {
    romana: parts.romana !== undefined,
    provide: async (layout) => {
      const lack = lackOfInotify(layout.nodes.length);
      if (lack !== undefined) throw new Error(lack);
      await parts.providePrograms?.();
      installation = await parts.romana?.();
    },
    prepare: async (layout) => {
      const networking = networkingOf(layout.families);
      const pki = await makeKubernetesPki(layout, networking);
      mkdirSync(imagesFolder(layout), { recursive: true });
      return {
        ca: pki.ca,
        people: pki.people,
        prepareNode: (node) =>
          prepareKubernetesNode(layout, node, parts, { ...pki, files: pki.filesOf(node), networking }),
      };
    },
    install: (options, client) => install(parts.proxy, installation, options, client),
    extend: async (layout, node) => {
      const lack = lackOfInotify(1, false);
      if (lack !== undefined) throw new Error(lack);
      const networking = networkingOf(layout.families);
      const read = (file: string): string => readFileSync(`${masterOf(layout).directory}/conf/${file}`, 'utf8');
      const master = (file: string): string => read(`kubernetes/${file}`);
      const files = await extendKubernetesPki({ name: layout.name, networking, master }, node);
      const peopleKubeconfig = read('romana/people.kubeconfig');
      prepareKubernetesNode(layout, node, parts, { peopleKubeconfig, files, networking });
    },
    admit: async (node, client, signal) => {
      await createObjects(client, [nodeObject(node)], signal);
      releaseService(node, 'kubelet');
    },
  };
}

/** What a cluster that is there was made of, for a node that joins it. */
export function recordedParts(layout: ClusterLayout, checkout: string): KubernetesParts {
  const { directory } = masterOf(layout);
  const configuration = JSON.parse(readFileSync(`${directory}/conf/kubernetes/kube-proxy.yaml`, 'utf8')) as {
    readonly mode: ProxyMode;
  };
  const proxy = existsSync(`${directory}/services/kube-proxy`) ? configuration.mode : 'none';
  return { checkout, programs: readlinkSync(`${directory}/programs`), proxy, romana: undefined };
}

function masterOf({ name, nodes }: ClusterLayout): NodeLayout {
  const master = nodes.find((node) => node.master);
  if (master === undefined) throw new Error(`cluster '${name}' has no master`);
  return master;
}

/** What a node gets of the cluster's. */
interface Shared {
  readonly networking: Networking;
  /** Its credentials: files of its /etc/kubernetes. */
  readonly files: Files;
  readonly peopleKubeconfig: string;
}

/** Writes what node-root.sh finds in the node's directory. */
function prepareKubernetesNode(
  layout: ClusterLayout,
  node: NodeLayout,
  parts: KubernetesParts,
  { networking, files: credentials, peopleKubeconfig }: Shared,
): void {
  const { checkout, proxy, flags = {} } = parts;
  prepareNode(layout, node, kubernetesServices(node, { checkout, networking, proxy, flags }));
  // Until there is a Node for it.
  holdService(node, 'kubelet');
  const cgroup = nodeCgroup(layout, node);
  writeFileSync(`${node.directory}/cgroup`, `${cgroup}\n`);
  symlinkSync(parts.programs, `${node.directory}/programs`);
  makeNodeFolder(node, 'conf', 0o700);
  const files = { ...nodeFiles(node, { networking, proxy, cgroup }), ...credentials };
  const write = (path: string, text: string): void => {
    makeNodeFolder(node, dirname(path));
    writeFileSync(`${node.directory}/${path}`, text, { mode: 0o600 });
  };
  for (const [path, text] of Object.entries(files)) write(`conf/kubernetes/${path}`, text);
  write('conf/romana/people.kubeconfig', peopleKubeconfig);
}

const KUBE_PROXY = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRoleBinding',
  metadata: { name: 'kube-proxy' },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:node-proxier' },
  subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'system:kube-proxy' }],
};

/** Waits for the API server, makes the Nodes, and gives the cluster its DNS and its network. */
async function install(
  proxy: ProxyMode,
  romana: Installation | undefined,
  options: UpOptions,
  client: KubeClient,
): Promise<void> {
  const { layout, progress, signal } = options;
  const nodes = { ...options, nodes: layout.nodes, client };
  progress('the API server');
  await awaitStart(nodes, 'an answer of the API server', async () => {
    await client.raw('GET', '/readyz');
    return true;
  });
  // One after the other, so that host ids, which go by age, follow the nodes' numbers.
  await createObjects(client, layout.nodes.map(nodeObject), signal);
  for (const node of layout.nodes) releaseService(node, 'kubelet');
  const dns = dnsObjects(networkingOf(layout.families));
  await createObjects(client, [...(proxy === 'none' ? [] : [KUBE_PROXY]), ...dns], signal);
  progress('waiting until all nodes have reported');
  await awaitReady({ ...nodes, until: 'registered' });
  if (romana === undefined) return;
  progress('Romana');
  await loadImage(layout, romana.image);
  await createObjects(client, romana.objects, signal);
  progress('waiting until all nodes are Ready');
  await awaitReady(nodes);
  progress('waiting until Romana and DNS are Ready');
  await awaitInstalled(nodes);
}
