import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { err, ok, type Result } from '../lib/result.ts';
import type { Connection } from './connection.ts';
import { asRecord, asText } from './json.ts';
import { fileToken, fixedToken } from './token.ts';

type Fields = Readonly<Record<string, unknown>>;

/** A connection, and the name under which the kubeconfig has it. */
export interface KubeconfigConnection {
  readonly connection: Connection;
  readonly context: string;
}

/** A named entry of a kubeconfig, and the folder that its relative paths start from. */
interface Entry {
  readonly fields: Fields;
  readonly folder: string;
}

/** Several kubeconfigs as one: the first to name something has it (as kubectl merges `$KUBECONFIG`). */
interface Merged {
  readonly clusters: Map<string, Entry>;
  readonly users: Map<string, Entry>;
  readonly contexts: Map<string, Entry>;
  currentContext: string;
}

/** A fault of a kubeconfig, for the way out of the functions below. */
class KubeconfigError extends Error {}

function collect(into: Map<string, Entry>, list: unknown, key: string, folder: string): void {
  if (!Array.isArray(list)) return;
  for (const item of list as readonly unknown[]) {
    const name = asText(asRecord(item)?.['name']);
    const fields = asRecord(asRecord(item)?.[key]) ?? {};
    if (!into.has(name)) into.set(name, { fields, folder });
  }
}

/** All JSON is YAML, and our own kubeconfigs are in JSON: the parser of YAML costs 17 ms and 3 MiB of memory. */
async function parseYaml(text: string): Promise<unknown> {
  try {
    if (text.startsWith('{')) return JSON.parse(text);
  } catch {
    // YAML between braces.
  }
  const { parse } = await import('yaml');
  return parse(text);
}

async function merge(paths: readonly string[]): Promise<Merged> {
  const merged: Merged = { clusters: new Map(), users: new Map(), contexts: new Map(), currentContext: '' };
  for (const path of paths) {
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      // Of several files some may be missing, as with kubectl.
      if (paths.length > 1 && (error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      throw new KubeconfigError(`cannot read the kubeconfig: ${(error as Error).message}`);
    }
    let config: Fields | undefined;
    try {
      config = asRecord(await parseYaml(text));
    } catch (error) {
      throw new KubeconfigError(`${path} is no YAML: ${(error as Error).message.split('\n')[0]}`);
    }
    if (config === undefined) throw new KubeconfigError(`${path} is no kubeconfig`);
    const folder = dirname(resolve(path));
    collect(merged.clusters, config['clusters'], 'cluster', folder);
    collect(merged.users, config['users'], 'user', folder);
    collect(merged.contexts, config['contexts'], 'context', folder);
    merged.currentContext ||= asText(config['current-context']);
  }
  return merged;
}

/** What `NAME-data` (base64) holds, else the file that `NAME` names. */
async function pem({ fields, folder }: Entry, name: string): Promise<string | undefined> {
  const data = asText(fields[`${name}-data`]);
  if (data !== '') return Buffer.from(data, 'base64').toString();
  const path = asText(fields[name]);
  if (path === '') return undefined;
  try {
    return await readFile(resolve(folder, path), 'utf8');
  } catch (error) {
    throw new KubeconfigError(`cannot read ${name} of the kubeconfig: ${(error as Error).message}`);
  }
}

async function clusterPart(cluster: Entry): Promise<Connection> {
  const { fields } = cluster;
  // To go around a proxy that somebody asked for would be worse than to say that we have none.
  if (asText(fields['proxy-url']) !== '')
    throw new KubeconfigError('the kubeconfig asks for a proxy, which is not supported');
  const server = asText(fields['server']);
  if (server === '') throw new KubeconfigError('the kubeconfig names no server for its cluster');
  return {
    server,
    ca: await pem(cluster, 'certificate-authority'),
    serverName: asText(fields['tls-server-name']) || undefined,
    insecure: fields['insecure-skip-tls-verify'] === true,
  };
}

async function userPart(user: Entry, clock: Clock): Promise<Partial<Connection>> {
  const { fields, folder } = user;
  if (asText(fields['as']) !== '')
    throw new KubeconfigError('the kubeconfig impersonates a user, which is not supported');
  const token = asText(fields['token']);
  const tokenFile = asText(fields['tokenFile']);
  const username = asText(fields['username']);
  return {
    certificate: await pem(user, 'client-certificate'),
    key: await pem(user, 'client-key'),
    ...(tokenFile !== '' ? { token: fileToken(resolve(folder, tokenFile), clock) } : {}),
    ...(token !== '' ? { token: fixedToken(token) } : {}),
    ...(username !== '' ? { basic: { username, password: asText(fields['password']) } } : {}),
  };
}

/**
 * The connection of the current context of a kubeconfig.
 *
 * Tokens, certificates, passwords and their files are read here. Only exec plugins and auth providers are left to
 * `@kubernetes/client-node`: its import takes 380 ms and 80 MB, against 17 ms for the parser of YAML.
 *
 * @param paths one file, or several that are merged as `$KUBECONFIG` asks (kubernetes.io, "Merging kubeconfig files").
 */
export async function readKubeconfig(paths: readonly string[], clock: Clock): Promise<Result<KubeconfigConnection>> {
  try {
    const merged = await merge(paths);
    const where = paths.join(':');
    const context = merged.contexts.get(merged.currentContext);
    if (context === undefined)
      throw new KubeconfigError(`${where} has no context ${JSON.stringify(merged.currentContext)}`);
    const clusterName = asText(context.fields['cluster']);
    const cluster = merged.clusters.get(clusterName);
    if (cluster === undefined) throw new KubeconfigError(`${where} has no cluster ${JSON.stringify(clusterName)}`);
    const userName = asText(context.fields['user']);
    const user = merged.users.get(userName);
    if (user === undefined && userName !== '')
      throw new KubeconfigError(`${where} has no user ${JSON.stringify(userName)}`);
    const connection = { ...(await clusterPart(cluster)), ...(user === undefined ? {} : await userPart(user, clock)) };
    if (user?.fields['exec'] === undefined && user?.fields['auth-provider'] === undefined) {
      return ok({ connection, context: merged.currentContext });
    }
    const { pluginCredentials } = await import('./plugin-credentials.ts');
    const asked = { cluster: cluster.fields, user: user.fields, folder: user.folder };
    const own = await pluginCredentials(asked).catch((error: Error) => {
      throw new KubeconfigError(error.message);
    });
    return ok({ connection: { ...connection, ...own }, context: merged.currentContext });
  } catch (error) {
    if (error instanceof KubeconfigError) return err(error.message);
    throw error;
  }
}
