import assert from 'node:assert/strict';
import { isIPv6 } from 'node:net';
import type { KubeCluster } from './kube-cluster.ts';

/** Upstream's test server: HTTP with `/clientip`, `/hostname` and more on one port, UDP on another. */
export const AGNHOST = 'registry.k8s.io/e2e-test-images/agnhost:2.63.0';
/** Ports of a server, where a test asks for no others. */
export const HTTP_PORT = 8080;
export const UDP_PORT = 8081;

/** What a pod of a test is. */
export interface KubePodSpec {
  readonly namespace: string;
  readonly name: string;
  /** Where it runs; undefined: wherever the scheduler puts it. */
  readonly node?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** More for its spec, and for its container. */
  readonly spec?: object;
  readonly container?: object;
}

function pod(spec: KubePodSpec, container: object): object {
  const { namespace, name, node, labels = {}, annotations = {} } = spec;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name, labels, annotations },
    spec: {
      ...(node === undefined ? {} : { nodeName: node }),
      terminationGracePeriodSeconds: 1,
      tolerations: [{ operator: 'Exists' }],
      containers: [{ name: 'main', imagePullPolicy: 'IfNotPresent', ...container, ...spec.container }],
      ...spec.spec,
    },
  };
}

/** A pod that serves HTTP and UDP. */
export function serverPod(spec: KubePodSpec, ports = { http: HTTP_PORT, udp: UDP_PORT }): object {
  return pod(spec, {
    image: AGNHOST,
    args: ['netexec', `--http-port=${ports.http}`, `--udp-port=${ports.udp}`],
    readinessProbe: { httpGet: { path: '/hostname', port: ports.http }, periodSeconds: 1 },
  });
}

/** A pod with a shell, curl, ping and the like, which does nothing by itself. */
export function clientPod(spec: KubePodSpec): object {
  return pod(spec, { image: 'tools', command: ['sleep', 'infinity'] });
}

/** An address and a port as in a URL. */
export function at(address: string, port: number): string {
  return isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`;
}

/** What curl says of a failure, by its exit status (curl(1)). */
const FAILURES: Readonly<Record<number, string>> = { 6: 'no such name', 7: 'refused', 28: 'timed out', 52: 'empty' };

/** GET from a pod: the body, or in a word what happened instead; nothing else than the network is tried. */
export async function get(cluster: KubeCluster, from: string, hostPort: string, path = '/clientip'): Promise<string> {
  const url = `http://${hostPort}${path}`;
  const { exitCode, stdout, stderr } = await cluster.exec(from, 'curl', '-sS', '-m', '5', url);
  if (exitCode === 0) return stdout.trim();
  return FAILURES[exitCode] ?? `curl ended with status ${exitCode}: ${stderr}`;
}

/** The address that a server saw a pod come from; what happened instead when there was no answer. */
export async function seenFrom(cluster: KubeCluster, from: string, hostPort: string): Promise<string> {
  return withoutPort(await get(cluster, from, hostPort));
}

/** `10.1.0.3:80` and `[fd00::1]:80` without the port. */
export function withoutPort(text: string): string {
  const found = /^\[?([0-9a-f.:]+?)\]?:\d+$/.exec(text);
  return found?.[1] ?? text;
}

/**
 * Knocks at `shut` from a pod, and then at `open`, on the same way, until that has answered three times; what `shut`
 * has not answered by then is dropped: `dropped`, or what came of it.
 */
export async function knock(cluster: KubeCluster, from: string, shut: string, open: string): Promise<string> {
  const script = `
    curl -sS -m 60 -o /dev/null "http://$1/" 2>/dev/null & pid=$!
    for n in 1 2 3; do curl -sS -m 5 -o /dev/null "http://$2/" || { kill $pid; exit 99; }; done
    if kill $pid 2>/dev/null; then echo dropped; else wait $pid; echo "status $?"; fi`;
  const { exitCode, stdout, stderr } = await cluster.exec(from, 'bash', '-c', script, 'bash', shut, open);
  assert.equal(exitCode, 0, `the control ${open} did not answer ${from}: ${stderr}`);
  return stdout.trim();
}
