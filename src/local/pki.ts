import { randomBytes } from 'node:crypto';
import { type Connection } from '../kube/connection.ts';
import { fixedToken } from '../kube/token.ts';
import { API_SERVER } from './cluster-layout.ts';
import { textAt } from './kube-json.ts';

/** What the API server shows and asks for. */
export interface Credentials {
  /** PEM, of the authority that signed the certificate. */
  readonly ca: string;
  /** PEM, of the API server. */
  readonly certificate: string;
  readonly key: string;
  /** Bearer token of people, user `admin`. */
  readonly peopleToken: string;
  /** Bearer token of Romana's parts, user `system:romana`. */
  readonly partsToken: string;
}

/** Makes fresh credentials for one life of a cluster. */
export async function makeCredentials(): Promise<Credentials> {
  // Loaded here because it takes 0.1 s that no other command should pay.
  const { makePki } = await import('./apiserver/pki.ts');
  const pki = await makePki({ names: ['localhost', 'kubernetes'], ips: ['127.0.0.1', API_SERVER.address] });
  return { ca: pki.ca, certificate: pki.cert, key: pki.key, peopleToken: makeToken(), partsToken: makeToken() };
}

function makeToken(): string {
  return randomBytes(32).toString('base64url');
}

/**
 * A kubeconfig with one cluster, one user and one context, all named `name`. It is JSON, which is YAML too, so that
 * our own daemons read it without a YAML parser.
 */
export function kubeconfigText(options: { name: string; server: string; ca: string; token: string }): string {
  const { name, server, ca, token } = options;
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') } }],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  };
  return `${JSON.stringify(config, undefined, 2)}\n`;
}

/** The connection that a text of `kubeconfigText` describes. @throws Error for any other text. */
export function parseOwnKubeconfig(text: string): { readonly connection: Connection; readonly token: string } {
  const json = JSON.parse(text) as { readonly clusters?: readonly unknown[]; readonly users?: readonly unknown[] };
  const cluster = json.clusters?.[0];
  const server = textAt(cluster, 'cluster', 'server');
  const ca = Buffer.from(textAt(cluster, 'cluster', 'certificate-authority-data'), 'base64').toString();
  const token = textAt(json.users?.[0], 'user', 'token');
  if (server === '' || ca === '' || token === '') throw new Error('this is no kubeconfig of a local cluster');
  return { connection: { server, ca, token: fixedToken(token) }, token };
}
