import { KubeConfig } from '@kubernetes/client-node';
import { isAbsolute, resolve } from 'node:path';
import type { Connection } from './connection.ts';
import { asRecord, asText } from './json.ts';

type Fields = Readonly<Record<string, unknown>>;

/** What a plugin answered, as options of a TLS connection. */
interface PluginAnswer {
  cert?: string | Buffer;
  key?: string | Buffer;
  headers?: Record<string, unknown>;
}

/** An exec command with a slash in it is relative to its kubeconfig (client-go's rule). */
function withAbsoluteCommand(user: Fields, folder: string): Fields {
  const exec = asRecord(user['exec']);
  const command = asText(exec?.['command']);
  if (exec === undefined || !command.includes('/') || isAbsolute(command)) return user;
  return { ...user, exec: { ...exec, command: resolve(folder, command) } };
}

/**
 * Credentials that a program gives: an exec plugin (client.authentication.k8s.io/v1) or an auth provider.
 * This module loads `@kubernetes/client-node`; import it only where a kubeconfig asks for it.
 *
 * @throws Error if the plugin can't be run or gives nothing.
 */
export async function pluginCredentials(of: {
  readonly cluster: Fields;
  readonly user: Fields;
  readonly folder: string;
}): Promise<Pick<Connection, 'token' | 'certificate' | 'key'>> {
  const text = JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'it', cluster: { server: of.cluster['server'] } }],
    users: [{ name: 'it', user: withAbsoluteCommand(of.user, of.folder) }],
    contexts: [{ name: 'it', context: { cluster: 'it', user: 'it' } }],
    'current-context': 'it',
  });
  const load = (): KubeConfig => {
    const config = new KubeConfig();
    config.loadFromString(text);
    return config;
  };
  let config = load();
  const first = await ask(config);
  const credentials: { -readonly [K in 'token' | 'certificate' | 'key']?: Connection[K] } = {};
  if (first.cert !== undefined) credentials.certificate = first.cert.toString();
  if (first.key !== undefined) credentials.key = first.key.toString();
  if (bearer(first) !== '') {
    credentials.token = async (fresh) => {
      // It keeps the answer until it expires; a refused one only a new instance forgets.
      if (fresh) config = load();
      return bearer(await ask(config));
    };
  }
  return credentials;
}

async function ask(config: KubeConfig): Promise<PluginAnswer> {
  const answer: PluginAnswer = {};
  try {
    await config.applyToHTTPSOptions(answer as Parameters<KubeConfig['applyToHTTPSOptions']>[0]);
  } catch (cause) {
    throw new Error(`the kubeconfig's credential plugin failed: ${(cause as Error).message}`, { cause });
  }
  return answer;
}

function bearer(answer: PluginAnswer): string {
  return asText(answer.headers?.['Authorization']).replace(/^Bearer /, '');
}
