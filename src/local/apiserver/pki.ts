import { type Clock, systemClock } from '../../lib/clock.ts';
import { makeAuthority } from '../certificates.ts';

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

/** Makes a certificate authority and one server certificate (P-256, ten years). The authority's key is forgotten. */
export async function makePki({ names, ips, clock = systemClock }: PkiRequest): Promise<Pki> {
  const authority = await makeAuthority('romana-local-ca', clock);
  const server = await authority.issue({ commonName: 'romana-local-apiserver', use: 'server', names, ips });
  return { ca: authority.certificate, cert: server.certificate, key: server.key };
}
