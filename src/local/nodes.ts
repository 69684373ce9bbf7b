import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { makeCgroups, nodeCgroup } from './cgroups.ts';
import { type ClusterLayout, type Flavour, type NodeLayout } from './cluster-layout.ts';
import { identify, isAlive, type ProcessIdentity, readIdentity } from './process-identity.ts';
import { MAX_SHUTDOWN_GRACE_SECONDS } from './runtime/pod-manager.ts';
import { IN_NODE, serviceScript, type Service } from './services.ts';

/** What process 1 of a node sources to make its file system. */
const ROOT_SCRIPTS: Record<Flavour, string> = {
  embedded: fileURLToPath(new URL('embedded-root.sh', import.meta.url)),
  kubernetes: fileURLToPath(new URL('kubernetes/node-root.sh', import.meta.url)),
};

/** PATH of everything in a node: `romana` is the checkout's, and Kubernetes' programs are those of the cluster. */
export function nodePath({ flavour }: Pick<ClusterLayout, 'flavour'>, checkout: string): string {
  const programs = flavour === 'kubernetes' ? `${IN_NODE.programs}/bin:` : '';
  return `${programs}${checkout}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
}

/** Makes a folder in the node's directory. @returns its path */
export function makeNodeFolder(node: NodeLayout, path: string, mode = 0o755): string {
  mkdirSync(`${node.directory}/${path}`, { recursive: true, mode });
  return `${node.directory}/${path}`;
}

/** Writes what node-init.sh finds in the node's directory, whatever the flavour. */
export function prepareNode(layout: ClusterLayout, node: NodeLayout, services: readonly Service[]): void {
  makeNodeFolder(node, 'log');
  makeNodeFolder(node, 'hold');
  const folder = makeNodeFolder(node, 'services');
  for (const service of services) writeFileSync(`${folder}/${service.name}`, serviceScript(service));
  writeFileSync(`${node.directory}/hosts`, hostsText(layout));
}

/** Tells all nodes, those that run too, of the names of all. */
export function writeHosts(layout: ClusterLayout): void {
  for (const node of layout.nodes) {
    writeFileSync(`${node.directory}/hosts`, hostsText(layout));
    const first = nodeProcess(node);
    if (first !== undefined && isAlive(first)) writeFileSync(`/proc/${first.pid}/root/etc/hosts`, hostsText(layout));
  }
}

/** What is in /etc/hosts of all nodes. */
function hostsText({ nodes }: ClusterLayout): string {
  const lines = nodes.flatMap(({ addresses, name }) => addresses.map((address) => `${address} ${name}`));
  return ['127.0.0.1 localhost', '::1 localhost', ...lines, ''].join('\n');
}

/** Keeps a service of the node down from its next start on; one that runs goes on until somebody ends it. */
export function holdService(node: NodeLayout, service: string): void {
  writeFileSync(`${makeNodeFolder(node, 'hold')}/${service}`, '');
}

/** Lets a service start again that was held down. */
export function releaseService(node: NodeLayout, service: string): void {
  rmSync(`${node.directory}/hold/${service}`, { force: true });
}

/**
 * Boots a prepared node. Its process 1 writes the node's pid file; until then the process that starts it is there.
 *
 * @param socket file descriptor of the API server's listening socket, for the master.
 */
export function bootNode(layout: ClusterLayout, node: NodeLayout, checkout: string, socket: number | undefined): void {
  if (layout.flavour === 'kubernetes') makeCgroups(nodeCgroup(layout, node));
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
        ROOT_SCRIPTS[layout.flavour],
      ],
      {
        cwd: '/',
        detached: true,
        env: {
          PATH: nodePath(layout, checkout),
          HOME: '/root',
          LANG: 'C.UTF-8',
          SHUTDOWN_GRACE: String(MAX_SHUTDOWN_GRACE_SECONDS),
        },
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
