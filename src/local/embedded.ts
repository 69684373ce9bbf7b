import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
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
        prepareNode: (node) => {
          prepareEmbeddedNode(layout, node, parts, kubeconfigs(layout, credentials));
          if (node.master) giveToApiServer(node, credentials);
        },
      };
    },
    extend: async (layout, node) => {
      const [master] = layout.nodes;
      const read = (file: string): string => readFileSync(`${master?.directory}/conf/${file}`, 'utf8');
      const files = { kubeconfig: read('kubeconfig'), 'people.kubeconfig': read('people.kubeconfig') };
      prepareEmbeddedNode(layout, node, parts, files);
    },
    admit: async () => undefined, // Its runtime registers it.
    install: async (options, client) => {
      await install(parts, options, client);
      options.progress('waiting until all nodes are Ready');
      await awaitReady({ ...options, nodes: options.layout.nodes, client });
    },
  };
}

/** What every node has in its folder `conf`. */
type Kubeconfigs = Readonly<Record<'kubeconfig' | 'people.kubeconfig', string>>;

function kubeconfigs({ name }: ClusterLayout, { ca, partsToken, peopleToken }: Credentials): Kubeconfigs {
  const server = `https://${API_SERVER.address}:${API_SERVER.port}`;
  const kubeconfig = (token: string): string => kubeconfigText({ name, server, ca, token });
  return { kubeconfig: kubeconfig(partsToken), 'people.kubeconfig': kubeconfig(peopleToken) };
}

/** Writes what the API server has beside that. */
function giveToApiServer(node: NodeLayout, credentials: Credentials): void {
  const users = [
    { token: credentials.peopleToken, user: 'admin' },
    { token: credentials.partsToken, user: 'system:romana' },
  ];
  writeSecrets(makeNodeFolder(node, 'conf/apiserver', 0o700), {
    'tls.crt': credentials.certificate,
    'tls.key': credentials.key,
    'tokens.json': `${JSON.stringify(users)}\n`,
  });
}

function writeSecrets(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) writeFileSync(`${folder}/${name}`, text, { mode: 0o600 });
}

/** Writes what embedded-root.sh finds in the node's directory. */
function prepareEmbeddedNode(layout: ClusterLayout, node: NodeLayout, parts: EmbeddedParts, files: Kubeconfigs): void {
  prepareNode(layout, node, parts.services(node));
  makeNodeFolder(node, 'var-lib');
  makeNodeFolder(node, 'run');
  writeSecrets(makeNodeFolder(node, 'conf', 0o700), files);
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
