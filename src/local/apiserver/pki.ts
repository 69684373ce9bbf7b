import { generate } from 'selfsigned';
import { type Clock, systemClock } from '../../lib/clock.ts';

/** What a server is to be known as. */
export interface PkiRequest {
  /** DNS names. */
  readonly names: readonly string[];
  /** IP addresses of both families. */
  readonly ips: readonly string[];
  readonly clock?: Clock;
}

/** A certificate authority's certificate, and a server certificate of it with its key; all PEM. */
export interface Pki {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

const DAY_MS = 24 * 60 * 60 * 1_000;
const LIFETIME_DAYS = 3_650;

/** Makes a certificate authority and one server certificate (P-256, ten years). The authority's key is forgotten. */
export async function makePki({ names, ips, clock = systemClock }: PkiRequest): Promise<Pki> {
  const now = clock.now();
  const common = {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    // A day back, for clocks that are behind.
    notBeforeDate: new Date(now - DAY_MS),
    notAfterDate: new Date(now + LIFETIME_DAYS * DAY_MS),
  } as const;
  const ca = await generate([{ name: 'commonName', value: 'romana-local-ca' }], {
    ...common,
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, digitalSignature: true, critical: true },
    ],
  });
  const server = await generate([{ name: 'commonName', value: 'romana-local-apiserver' }], {
    ...common,
    ca: { key: ca.private, cert: ca.cert },
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          ...names.map((value) => ({ type: 2 as const, value })),
          ...ips.map((ip) => ({ type: 7 as const, ip })),
        ],
      },
    ],
  });
  return { ca: ca.cert, cert: server.cert, key: server.private };
}
