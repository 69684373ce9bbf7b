import type { Family } from '../../addr/address.ts';
import { API_SERVER } from '../cluster-layout.ts';

/** What kube-proxy does its work with; `none`: it does not run. */
export const PROXY_MODES = ['iptables', 'nftables', 'none'] as const;
export type ProxyMode = (typeof PROXY_MODES)[number];

/** The addresses of a cluster beside those of its nodes and pods. */
export interface Networking {
  /** In order of preference. */
  readonly families: readonly Family[];
  /** Of the API server on the fabric. */
  readonly apiAddress: string;
  /** Ranges of the Services' addresses, one a family. */
  readonly serviceCidrs: readonly string[];
  /** ClusterIPs of the Service `kubernetes`, the first of each range. */
  readonly apiServiceAddresses: readonly string[];
  /** ClusterIP of the Service `kube-dns`. */
  readonly dnsAddress: string;
}

const SERVICES: Record<Family, { cidr: string; first: string; dns: string }> = {
  4: { cidr: '10.96.0.0/16', first: '10.96.0.1', dns: '10.96.0.10' },
  6: { cidr: 'fd96::/112', first: 'fd96::1', dns: 'fd96::a' },
};

/** The addresses of a cluster with these families. */
export function networkingOf(families: readonly Family[]): Networking {
  const first = families[0] ?? 4;
  return {
    families,
    apiAddress: first === 4 ? API_SERVER.address : API_SERVER.address6,
    serviceCidrs: families.map((family) => SERVICES[family].cidr),
    apiServiceAddresses: families.map((family) => SERVICES[family].first),
    dnsAddress: SERVICES[first].dns,
  };
}

/** `address:port`, an IPv6 address in brackets. */
export function hostPort(address: string, port: number): string {
  return `${address.includes(':') ? `[${address}]` : address}:${port}`;
}

/** Where nodes and pods reach the API server. */
export function apiUrl({ apiAddress }: Networking): string {
  return `https://${hostPort(apiAddress, API_SERVER.port)}`;
}
