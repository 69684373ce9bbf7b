import { generate } from 'selfsigned';
import { type Clock, systemClock } from '../lib/clock.ts';

/** A certificate and its key, PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** Whom a certificate is for. */
export interface CertificateRequest {
  readonly commonName: string;
  /** Kubernetes' groups of a user (kubernetes.io, "Authenticating", X509 client certificates). */
  readonly organization?: string;
  readonly use: 'server' | 'client';
  /** DNS names of a server. */
  readonly names?: readonly string[];
  /** IP addresses of a server, of both families. */
  readonly ips?: readonly string[];
}

/** A certificate authority. */
export interface Authority extends KeyPair {
  issue(request: CertificateRequest): Promise<KeyPair>;
}

const DAY_MS = 24 * 60 * 60 * 1_000;
const LIFETIME_DAYS = 3_650;

/** What all certificates are alike in. */
function common(clock: Clock) {
  const now = clock.now();
  return {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    // A day back, for clocks that are behind.
    notBeforeDate: new Date(now - DAY_MS),
    notAfterDate: new Date(now + LIFETIME_DAYS * DAY_MS),
  } as const;
}

/** Makes a certificate authority; it and what it issues are P-256 and last for ten years. */
export async function makeAuthority(commonName: string, clock: Clock = systemClock): Promise<Authority> {
  const ca = await generate([{ name: 'commonName', value: commonName }], {
    ...common(clock),
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, digitalSignature: true, critical: true },
    ],
  });
  return openAuthority({ certificate: ca.cert, key: ca.private }, clock);
}

/** The authority that has this certificate and key. */
export function openAuthority(pair: KeyPair, clock: Clock = systemClock): Authority {
  const issue = async (request: CertificateRequest): Promise<KeyPair> => {
    const { organization, names = [], ips = [] } = request;
    const subject = organization === undefined ? [] : [{ name: 'organizationName', value: organization }];
    const altNames = [
      ...names.map((value) => ({ type: 2 as const, value })),
      ...ips.map((ip) => ({ type: 7 as const, ip })),
    ];
    const made = await generate([...subject, { name: 'commonName', value: request.commonName }], {
      ...common(clock),
      ca: { key: pair.key, cert: pair.certificate },
      extensions: [
        { name: 'basicConstraints', cA: false },
        { name: 'keyUsage', digitalSignature: true, critical: true },
        { name: 'extKeyUsage', [request.use === 'server' ? 'serverAuth' : 'clientAuth']: true },
        ...(altNames.length === 0 ? [] : [{ name: 'subjectAltName' as const, altNames }]),
      ],
    });
    return { certificate: made.cert, key: made.private };
  };
  return { ...pair, issue };
}
