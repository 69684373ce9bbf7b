import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { err, ok, type Result } from '../lib/result.ts';
import type { Connection } from './connection.ts';
import { readKubeconfig } from './kubeconfig.ts';
import { fileToken } from './token.ts';

/** Where a pod finds its service account (kubernetes.io, "Accessing the API from a Pod"). */
export const SERVICE_ACCOUNT_DIRECTORY = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Where local clusters are, a directory each, with a `kubeconfig` in it while they run. */
export const LOCAL_ROOT = '/run/romana-local';

/** What the search for a cluster looks at; whoever calls reads arguments and environment. */
export interface ClusterSearch {
  /** `--kubeconfig`. */
  readonly kubeconfigFlag?: string | undefined;
  /** `--name`, of a local cluster. */
  readonly nameFlag?: string | undefined;
  /** `$KUBECONFIG`: one path, or several with colons between. */
  readonly kubeconfigEnv?: string | undefined;
  readonly serviceAccountDir?: string | undefined;
  /** `$KUBERNETES_SERVICE_HOST` and `$KUBERNETES_SERVICE_PORT`. */
  readonly serviceHost?: string | undefined;
  readonly servicePort?: string | undefined;
  readonly localRoot?: string | undefined;
  /** `$HOME`. */
  readonly home?: string | undefined;
  readonly clock: Clock;
}

/** A cluster, and how it was found. */
export interface FoundCluster {
  readonly connection: Connection;
  readonly foundBy: 'flag' | 'name' | 'env' | 'service-account' | 'only-local' | 'home';
  /** For people: `the only running local cluster, romana, at https://127.0.0.1:40001`. */
  readonly describe: string;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** The names of the local clusters that run, in order. */
export async function localClusters(localRoot: string = LOCAL_ROOT): Promise<readonly string[]> {
  const names = await readdir(localRoot).catch(() => []);
  const running = await Promise.all(names.map((name) => exists(join(localRoot, name, 'kubeconfig'))));
  return names.filter((_name, i) => running[i]).toSorted();
}

async function byKubeconfig(
  paths: readonly string[],
  foundBy: FoundCluster['foundBy'],
  what: (context: string) => string,
  clock: Clock,
): Promise<Result<FoundCluster>> {
  const read = await readKubeconfig(paths, clock);
  if (!read.ok) return read;
  const { connection, context } = read.value;
  return ok({ connection, foundBy, describe: `${what(context)}, at ${connection.server}` });
}

async function byServiceAccount(s: ClusterSearch): Promise<Result<FoundCluster> | undefined> {
  const folder = s.serviceAccountDir ?? SERVICE_ACCOUNT_DIRECTORY;
  if (s.serviceHost === undefined || s.serviceHost === '' || !(await exists(join(folder, 'token')))) return undefined;
  const host = s.serviceHost.includes(':') ? `[${s.serviceHost}]` : s.serviceHost;
  const server = `https://${host}:${s.servicePort ?? '443'}`;
  try {
    const ca = await readFile(join(folder, 'ca.crt'), 'utf8');
    const connection = { server, ca, token: fileToken(join(folder, 'token'), s.clock) };
    return ok({ connection, foundBy: 'service-account', describe: `the cluster of this pod, at ${server}` });
  } catch (error) {
    return err(`cannot read the pod's service account: ${(error as Error).message}`);
  }
}

/**
 * The cluster that a command is about: `--kubeconfig`, `--name`, `$KUBECONFIG`, the pod's service account, the only
 * running local cluster, `~/.kube/config`, in this order. The first that is there decides; if it can't be used, that
 * is the error, and no other cluster is taken in its place.
 */
export async function findCluster(s: ClusterSearch): Promise<Result<FoundCluster>> {
  const { kubeconfigFlag, nameFlag, kubeconfigEnv, clock, localRoot = LOCAL_ROOT } = s;
  if (kubeconfigFlag !== undefined) {
    return byKubeconfig([kubeconfigFlag], 'flag', (c) => `the cluster of context ${c} in ${kubeconfigFlag}`, clock);
  }
  const running = await localClusters(localRoot);
  if (nameFlag !== undefined) {
    if (!running.includes(nameFlag)) {
      const others = running.length === 0 ? 'none runs' : `running: ${running.join(', ')}`;
      return err(`no local cluster is named ${JSON.stringify(nameFlag)} (${others})`);
    }
    return byKubeconfig(
      [join(localRoot, nameFlag, 'kubeconfig')],
      'name',
      () => `the local cluster ${nameFlag}`,
      clock,
    );
  }
  const paths = (kubeconfigEnv ?? '').split(':').filter((path) => path !== '');
  if (paths.length > 0) {
    return byKubeconfig(paths, 'env', (c) => `the cluster of context ${c} in $KUBECONFIG`, clock);
  }
  const own = await byServiceAccount(s);
  if (own !== undefined) return own;
  const [only, ...more] = running;
  if (only !== undefined && more.length === 0) {
    const path = join(localRoot, only, 'kubeconfig');
    return byKubeconfig([path], 'only-local', () => `the only running local cluster, ${only}`, clock);
  }
  const inHome = s.home === undefined ? undefined : join(s.home, '.kube', 'config');
  if (inHome !== undefined && (await exists(inHome))) {
    return byKubeconfig([inHome], 'home', (c) => `the cluster of context ${c} in ~/.kube/config`, clock);
  }
  if (running.length > 1) return err(`several local clusters run (${running.join(', ')}): say which with --name`);
  return err('no cluster found: none runs locally, and there is no --kubeconfig, $KUBECONFIG or ~/.kube/config');
}
