import { accessSync, constants, existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { runAttached } from '../in-node.ts';

const PROGRAMS = [
  'containerd',
  'containerd-shim-runc-v2',
  'ctr',
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-proxy',
  'kube-scheduler',
  'kubectl',
  'kubelet',
].map((name) => `bin/${name}`);

const CNI_PLUGINS = ['bandwidth', 'loopback', 'portmap'].map((name) => `cni-bin/${name}`);
const IMAGES = ['coredns', 'nginx', 'pause', 'tools'].map((name) => `images/${name}.tar`);

/** Programs of the machine that nodes use. */
const OF_THE_MACHINE = ['conntrack', 'ip', 'iptables', 'mount', 'nft', 'nsenter', 'runc', 'unshare'];

/** What `providePrograms` needs. */
export interface ProvideOptions {
  /** Where Kubernetes' programs are, or shall be. */
  readonly folder: string;
  /** The checkout, absolute. */
  readonly checkout: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Told what is under way. */
  readonly progress: (step: string) => void;
}

/**
 * The folder of Kubernetes' programs: the one named, else that of the environment, else the user's cache.
 *
 * @param named made absolute
 */
export function programsFolder(env: ProvideOptions['env'], named = env['ROMANA_KUBERNETES_PROGRAMS']): string {
  if (named !== undefined && named !== '') return resolve(named);
  const cache = env['XDG_CACHE_HOME'] ?? '';
  return join(cache === '' ? join(homedir(), '.cache') : cache, 'romana/kubernetes');
}

/** What a cluster needs and the folder does not have, as paths in it. */
export function missingPrograms(folder: string): readonly string[] {
  return [...PROGRAMS, ...CNI_PLUGINS, ...IMAGES].filter((file) => !existsSync(join(folder, file)));
}

/**
 * Makes sure that all programs are there: builds what is missing, where Go is.
 *
 * @throws Error that says what is missing and how to get it
 */
export async function providePrograms(options: ProvideOptions): Promise<void> {
  const { folder, checkout, env, progress } = options;
  const path = env['PATH'] ?? '';
  const missing = missingPrograms(folder);
  if (missing.length > 0) {
    const script = 'scripts/kubernetes/build.sh';
    if (!isInPath('go', path)) {
      throw new Error(
        `Kubernetes' programs are not all in ${folder}: ${missing.join(', ')} missing. Name a folder that has them with ` +
          `--programs or ROMANA_KUBERNETES_PROGRAMS, or have Go in PATH, and they are built (sh ${script} ${folder})`,
      );
    }
    progress(`building Kubernetes' programs into ${folder}: ${missing.length} of them, about 10 minutes for all`);
    const words = [join(checkout, script), folder];
    const ownEnv = Object.fromEntries(
      Object.entries(env).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
    );
    const status = await runAttached('sh', words, ownEnv);
    if (status !== 0) throw new Error(`'sh ${words.join(' ')}' ended with status ${status}`);
  }
  const lacking = OF_THE_MACHINE.filter((name) => !isInPath(name, path));
  if (lacking.length > 0) {
    throw new Error(
      `this machine has no ${lacking.join(', ')}, which nodes of Kubernetes need; packages of these names have them`,
    );
  }
}

function isInPath(name: string, path: string): boolean {
  return [...path.split(delimiter), '/usr/sbin', '/sbin', '/usr/bin', '/bin'].some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
