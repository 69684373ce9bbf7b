import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { API_SERVER, type ClusterLayout, type NodeLayout } from './cluster-layout.ts';
import { type Credentials, kubeconfigText } from './pki.ts';
import { identify, isAlive, type ProcessIdentity, readIdentity } from './process-identity.ts';
import { IN_NODE, serviceScript, type Service } from './services.ts';

/** What nodes are made of beside their layout. */
export interface NodeParts {
  /** The checkout, absolute; it is the same path in every node, read-only. */
  readonly checkout: string;
  readonly services: (node: NodeLayout) => readonly Service[];
  /** Folder with CNI plugins, which are in every node's /opt/cni/bin; undefined where there are none. */
  readonly cniPlugins: string | undefined;
}

/** PATH of everything in a node: `romana` is the checkout's. */
export function nodePath(checkout: string): string {
  return `${checkout}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
}

/** Writes what node-init.sh finds in the node's directory. */
export function prepareNode(layout: ClusterLayout, node: NodeLayout, parts: NodeParts, credentials: Credentials): void {
  const made = (path: string, mode = 0o755): string => {
    mkdirSync(`${node.directory}/${path}`, { recursive: true, mode });
    return `${node.directory}/${path}`;
  };
  made('var-lib');
  made('log');
  made('run');
  const conf = made('conf', 0o700);
  const secret = (path: string, text: string): void => writeFileSync(`${conf}/${path}`, text, { mode: 0o600 });
  const server = `https://${API_SERVER.address}:${API_SERVER.port}`;
  const kubeconfig = (token: string): string =>
    kubeconfigText({ name: layout.name, server, ca: credentials.ca, token });
  secret('kubeconfig', kubeconfig(credentials.partsToken));
  secret('people.kubeconfig', kubeconfig(credentials.peopleToken));
  if (node.master) {
    made('conf/apiserver', 0o700);
    secret('apiserver/tls.crt', credentials.certificate);
    secret('apiserver/tls.key', credentials.key);
    const users = [
      { token: credentials.peopleToken, user: 'admin' },
      { token: credentials.partsToken, user: 'system:romana' },
    ];
    secret('apiserver/tokens.json', `${JSON.stringify(users)}\n`);
  }
  const services = made('services');
  for (const service of parts.services(node)) {
    writeFileSync(`${services}/${service.name}`, serviceScript(service));
  }
  const plugins = made('cni-bin');
  for (const plugin of parts.cniPlugins === undefined ? [] : readdirSync(parts.cniPlugins)) {
    symlinkSync(`${parts.cniPlugins}/${plugin}`, `${plugins}/${plugin}`);
  }
  const hosts = layout.nodes.flatMap(({ addresses, name }) => addresses.map((address) => `${address} ${name}`));
  writeFileSync(`${node.directory}/hosts`, ['127.0.0.1 localhost', '::1 localhost', ...hosts, ''].join('\n'));
}

/**
 * Boots a prepared node. Its process 1 writes the node's pid file; until then the process that starts it is there.
 *
 * @param socket file descriptor of the API server's listening socket, for the master.
 */
export function bootNode(layout: ClusterLayout, node: NodeLayout, checkout: string, socket: number | undefined): void {
  const log = openSync(`${node.directory}/log/init.log`, 'a');
  try {
    const init = fileURLToPath(new URL('node-init.sh', import.meta.url));
    const child = spawn(
      'nsenter',
      [
        `--net=${layout.netnsDirectory}/${node.netns}`,
        'unshare',
        '--mount',
        '--pid',
        '--uts',
        '--ipc',
        '--fork',
        '--kill-child',
        'sh',
        init,
        node.directory,
        checkout,
        node.pidFile,
      ],
      {
        cwd: '/',
        detached: true,
        env: { PATH: nodePath(checkout), HOME: '/root', LANG: 'C.UTF-8' },
        stdio: socket === undefined ? ['ignore', log, log] : ['ignore', log, log, socket],
      },
    );
    child.on('error', () => undefined); // Seen by the wait for the node, with the log.
    const starter = child.pid === undefined ? undefined : identify(child.pid);
    if (starter !== undefined) {
      writeFileSync(starterFile(node), `${starter.pid} ${starter.startTime}\n`);
    }
    child.unref();
  } finally {
    closeSync(log);
  }
}

/** Whether the node runs. */
export function isOn(node: NodeLayout): boolean {
  const first = nodeProcess(node);
  return first !== undefined && isAlive(first);
}

/** What tells this life of the node from those before, as its runtime reports it; undefined before it has one. */
export function bootIdOf(node: NodeLayout): string | undefined {
  const first = nodeProcess(node);
  if (first === undefined) return undefined;
  try {
    return readFileSync(`/proc/${first.pid}/root${IN_NODE.bootId}`, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** The node's process 1 as the machine sees it, if it is on file. */
export function nodeProcess(node: NodeLayout): ProcessIdentity | undefined {
  return readIdentity(node.pidFile);
}

/** The process that started process 1 and waits for its end. */
export function starterProcess(node: NodeLayout): ProcessIdentity | undefined {
  return readIdentity(starterFile(node));
}

/** Where the process is written down that started process 1. */
export function starterFile(node: NodeLayout): string {
  return `${node.pidFile}.starter`;
}
