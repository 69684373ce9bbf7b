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

/** How a kubeconfig says who one is: a bearer token, or a client certificate and its key, PEM. */
export type Proof = { readonly token: string } | { readonly certificate: string; readonly key: string };

/**
 * A kubeconfig with one cluster, one user and one context, all named `name`. It is JSON, which is YAML too, so that
 * our own daemons read it without a YAML parser.
 */
export function kubeconfigText(options: { name: string; server: string; ca: string } & Proof): string {
  const { name, server, ca } = options;
  const user =
    'token' in options
      ? { token: options.token }
      : { 'client-certificate-data': base64(options.certificate), 'client-key-data': base64(options.key) };
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server, 'certificate-authority-data': base64(ca) } }],
    users: [{ name, user }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  };
  return `${JSON.stringify(config, undefined, 2)}\n`;
}

/**
 * The connection that a text of `kubeconfigText` describes, and its token, '' where it has a certificate.
 *
 * @throws Error for any other text.
 */
export function parseOwnKubeconfig(text: string): { readonly connection: Connection; readonly token: string } {
  const json = JSON.parse(text) as { readonly clusters?: readonly unknown[]; readonly users?: readonly unknown[] };
  const cluster = json.clusters?.[0];
  const server = textAt(cluster, 'cluster', 'server');
  const ca = Buffer.from(textAt(cluster, 'cluster', 'certificate-authority-data'), 'base64').toString();
  const user = json.users?.[0];
  const token = textAt(user, 'user', 'token');
  const [certificate, key] = ['client-certificate-data', 'client-key-data'].map((name) =>
    Buffer.from(textAt(user, 'user', name), 'base64').toString(),
  );
  if (server === '' || ca === '' || (token === '' && !certificate)) {
    throw new Error('this is no kubeconfig of a local cluster');
  }
  const proof = token === '' ? { certificate, key } : { token: fixedToken(token) };
  return { connection: { server, ca, ...proof }, token };
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
