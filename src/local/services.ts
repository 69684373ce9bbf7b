import { API_SERVER, type NodeLayout } from './cluster-layout.ts';

/** Where things are inside a node. */
export const IN_NODE = {
  /** The parts' credentials. */
  kubeconfig: '/etc/romana/kubeconfig',
  /** People's credentials, for `romana local shell`. */
  peopleKubeconfig: '/etc/romana/people.kubeconfig',
  certificate: '/etc/romana/apiserver/tls.crt',
  key: '/etc/romana/apiserver/tls.key',
  tokens: '/etc/romana/apiserver/tokens.json',
  database: '/var/lib/romana-apiserver',
} as const;

/** A program that a node keeps running. */
export interface Service {
  readonly name: string;
  /** Words after `romana`. */
  readonly args: readonly string[];
  /** Whether it gets the listening socket as file descriptor 3. */
  readonly socket?: true;
}

/** What runs on a node. `nginx` is the directory that holds Debian's nginx, undefined where there is none. */
export function servicesOf(node: NodeLayout, checkout: string, nginx: string | undefined): readonly Service[] {
  const self = ['--node', node.name, '--kubeconfig', IN_NODE.kubeconfig];
  const runtime: Service = {
    name: 'runtime',
    args: [
      'local-runtime',
      ...self,
      ...node.addresses.flatMap((address) => ['--address', address]),
      ...(node.master ? ['--control-plane'] : []),
      ...(nginx === undefined ? [] : ['--nginx', nginx]),
    ],
  };
  const agent: Service = { name: 'agent', args: ['agent', ...self] };
  if (!node.master) return [runtime, agent];
  const apiServer: Service = {
    name: 'apiserver',
    socket: true,
    args: [
      'local-apiserver',
      ...['--data', IN_NODE.database],
      ...['--listen', `${API_SERVER.address}:${API_SERVER.port}`, '--listen-fd', '3'],
      ...['--cert', IN_NODE.certificate, '--key', IN_NODE.key, '--tokens', IN_NODE.tokens],
      ...['--crds', `${checkout}/deploy/crds`],
    ],
  };
  return [apiServer, { name: 'controller', args: ['controller', ...self] }, runtime, agent];
}

/** The shell script that becomes the service. */
export function serviceScript(service: Service, checkout: string): string {
  const words = [`${checkout}/bin/romana`, ...service.args].map(shellQuote).join(' ');
  return `${service.socket === true ? '' : 'exec 3<&-\n'}exec ${words}\n`;
}

/** `word` as one word of a POSIX shell. */
export function shellQuote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
