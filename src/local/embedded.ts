import { readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import type { KubeClient } from '../kube/client.ts';
import { isConflict } from '../kube/client.ts';
import { NAMESPACES, NETWORKS } from '../objects/resources.ts';
import { awaitReady, awaitStart } from './await-ready.ts';
import { API_SERVER, type ClusterLayout, type NodeLayout } from './cluster-layout.ts';
import { makeNodeFolder, prepareNode } from './nodes.ts';
import { type Credentials, kubeconfigText, makeCredentials } from './pki.ts';
import type { Service } from './services.ts';
import type { Making, UpOptions } from './up.ts';

/** What an embedded cluster is made of. */
export interface EmbeddedParts {
  /** The Network object, as JSON. */
  readonly network: object;
  /** Namespaces that the installation makes, as JSON. */
  readonly namespaces: readonly object[];
  readonly services: (node: NodeLayout) => readonly Service[];
  /** Folder with CNI plugins, which are in every node's /opt/cni/bin; undefined where there are none. */
  readonly cniPlugins: string | undefined;
}

/** The flavour with an API server and a node runtime of our own. */
export function embedded(parts: EmbeddedParts): Making {
  return {
    romana: true,
    provide: async () => undefined,
    prepare: async (layout) => {
      const credentials = await makeCredentials();
      return {
        ca: credentials.ca,
        people: { token: credentials.peopleToken },
        prepareNode: (node) => prepareEmbeddedNode(layout, node, parts, credentials),
      };
    },
    install: async (options, client) => {
      await install(parts, options, client);
      options.progress('waiting until all nodes are Ready');
      await awaitReady({ ...options, nodes: options.layout.nodes, client });
    },
  };
}

/** Writes what embedded-root.sh finds in the node's directory. */
function prepareEmbeddedNode(
  layout: ClusterLayout,
  node: NodeLayout,
  parts: EmbeddedParts,
  credentials: Credentials,
): void {
  prepareNode(layout, node, parts.services(node));
  makeNodeFolder(node, 'var-lib');
  makeNodeFolder(node, 'run');
  const conf = makeNodeFolder(node, 'conf', 0o700);
  const secret = (path: string, text: string): void => writeFileSync(`${conf}/${path}`, text, { mode: 0o600 });
  const server = `https://${API_SERVER.address}:${API_SERVER.port}`;
  const kubeconfig = (token: string): string =>
    kubeconfigText({ name: layout.name, server, ca: credentials.ca, token });
  secret('kubeconfig', kubeconfig(credentials.partsToken));
  secret('people.kubeconfig', kubeconfig(credentials.peopleToken));
  if (node.master) {
    makeNodeFolder(node, 'conf/apiserver', 0o700);
    secret('apiserver/tls.crt', credentials.certificate);
    secret('apiserver/tls.key', credentials.key);
    const users = [
      { token: credentials.peopleToken, user: 'admin' },
      { token: credentials.partsToken, user: 'system:romana' },
    ];
    secret('apiserver/tokens.json', `${JSON.stringify(users)}\n`);
  }
  const plugins = makeNodeFolder(node, 'cni-bin');
  for (const plugin of parts.cniPlugins === undefined ? [] : readdirSync(parts.cniPlugins)) {
    symlinkSync(`${parts.cniPlugins}/${plugin}`, `${plugins}/${plugin}`);
  }
}

/** Waits for the API server and gives it what an installation of Romana brings. */
async function install(parts: EmbeddedParts, options: UpOptions, client: KubeClient): Promise<void> {
  options.progress('the API server');
  const { layout, signal, readyMs } = options;
  await awaitStart({ layout, nodes: layout.nodes, signal, readyMs }, 'an answer of the API server', async () => {
    await client.list(NETWORKS);
    return true;
  });
  const objects = [
    { resource: NETWORKS, object: parts.network },
    ...parts.namespaces.map((object) => ({ resource: NAMESPACES, object })),
  ];
  await Promise.all(
    objects.map(async ({ resource, object }) => {
      try {
        await client.create(resource, object);
      } catch (error) {
        if (!isConflict(error)) throw error; // The API server has it from its own start.
      }
    }),
  );
}
