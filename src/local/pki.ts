import { randomBytes } from 'node:crypto';
import { API_SERVER } from './cluster-layout.ts';

/** What the API server shows and asks for. */
export interface Credentials {
  /** PEM. It is its own authority: clients trust exactly this certificate. */
  readonly certificate: string;
  /** PEM (PKCS #8). */
  readonly key: string;
  /** Bearer token of people, user `admin`. */
  readonly peopleToken: string;
  /** Bearer token of Romana's parts, user `system:romana`. */
  readonly partsToken: string;
}

/** Makes fresh credentials for one life of a cluster. */
export async function makeCredentials(): Promise<Credentials> {
  // Loaded here because it takes 0.1 s that no other command should pay.
  const { generate } = await import('selfsigned');
  const made = await generate([{ name: 'commonName', value: 'romana-local' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', digitalSignature: true, keyCertSign: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 7, ip: '127.0.0.1' },
          { type: 7, ip: API_SERVER.address },
          { type: 2, value: 'localhost' },
        ],
      },
    ],
  });
  const token = (): string => randomBytes(32).toString('base64url');
  return { certificate: made.cert, key: made.private, peopleToken: token(), partsToken: token() };
}

/** A kubeconfig (YAML, as kubectl reads it) with one cluster, one user and one context, all named `name`. */
export function kubeconfigText(options: { name: string; server: string; ca: string; token: string }): string {
  const { name, server, ca, token } = options;
  return [
    'apiVersion: v1',
    'kind: Config',
    'clusters:',
    `- name: ${name}`,
    '  cluster:',
    `    server: ${server}`,
    `    certificate-authority-data: ${Buffer.from(ca).toString('base64')}`,
    'users:',
    `- name: ${name}`,
    '  user:',
    `    token: ${token}`,
    'contexts:',
    `- name: ${name}`,
    '  context:',
    `    cluster: ${name}`,
    `    user: ${name}`,
    `current-context: ${name}`,
    '',
  ].join('\n');
}
