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
  /** Another text at each boot. */
  bootId: '/run/romana-node/boot-id',
  /** Kubernetes' programs, CNI plugins and images, in that flavour. */
  programs: '/opt/kubernetes',
  /** The cluster's own images, in the kubernetes flavour. */
  images: '/run/romana-node/images',
} as const;

/** A program that a node keeps running. */
export interface Service {
  readonly name: string;
  /** The program, absolute, and its arguments. */
  readonly words: readonly string[];
  /** Whether it gets the listening socket as file descriptor 3. */
  readonly socket?: true;
  /** A command, as words, that has to succeed before the program is started. */
  readonly after?: readonly string[];
}

/** The API server, on the master. */
export function apiServerService(checkout: string): Service {
  return {
    name: 'apiserver',
    socket: true,
    words: [
      `${checkout}/bin/romana`,
      'local-apiserver',
      '--data',
      IN_NODE.database,
      '--listen',
      `${API_SERVER.address}:${API_SERVER.port}`,
      '--listen-fd',
      '3',
      '--cert',
      IN_NODE.certificate,
      '--key',
      IN_NODE.key,
      '--tokens',
      IN_NODE.tokens,
      '--crds',
      `${checkout}/deploy/crds`,
      `${checkout}/deploy/third-party/network-policy-api`,
    ],
  };
}

/** A node's runtime. `nginx` is the directory that holds Debian's nginx, undefined where there is none. */
export function runtimeService(node: NodeLayout, checkout: string, nginx: string | undefined): Service {
  return {
    name: 'runtime',
    words: [
      `${checkout}/bin/romana`,
      'local-runtime',
      '--node',
      node.name,
      '--kubeconfig',
      IN_NODE.kubeconfig,
      '--boot-id',
      IN_NODE.bootId,
      ...node.addresses.flatMap((address) => ['--address', address]),
      ...(node.master ? ['--control-plane'] : []),
      ...(node.after === undefined ? [] : ['--after', node.after]),
      ...(nginx === undefined ? [] : ['--nginx', nginx]),
    ],
  };
}

/** All that runs on a node: the API server and the controller on the master, runtime and agent everywhere. */
export function servicesOf(node: NodeLayout, checkout: string, nginx: string | undefined): readonly Service[] {
  const daemon = (name: string, ...more: readonly string[]): Service => ({
    name,
    words: [`${checkout}/bin/romana`, name, '--kubeconfig', IN_NODE.kubeconfig, ...more],
  });
  const everywhere = [runtimeService(node, checkout, nginx), daemon('agent', '--node', node.name)];
  return node.master ? [apiServerService(checkout), daemon('controller'), ...everywhere] : everywhere;
}

/** The shell script that becomes the service. */
export function serviceScript(service: Service): string {
  const after =
    service.after === undefined ? '' : `until ${commandLine(service.after)} > /dev/null 2>&1; do sleep 0.2; done\n`;
  return `${service.socket === true ? '' : 'exec 3<&-\n'}${after}exec ${commandLine(service.words)}\n`;
}

/** `word` as one word of a POSIX shell. */
export function shellQuote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

function commandLine(words: readonly string[]): string {
  return words.map(shellQuote).join(' ');
}
