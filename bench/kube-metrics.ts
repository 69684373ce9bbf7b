import { readFileSync, writeFileSync } from 'node:fs';
import { waitFor } from '../src/lib/wait-for.ts';
import type { KubeNode } from '../test/support/kube-node.ts';
import { processTree, readUnlessGone } from './process-memory.ts';
import { residentBytes } from './process-use.ts';

/** Where a node's containerd shows its metrics, once `showMetrics` asked it to. */
const CONTAINERD_METRICS = 'http://127.0.0.1:1338/v1/metrics';
const CONFIGURATION = '/etc/kubernetes/containerd.toml';
const AGENT_PORT = 9671;

/** One line of a Prometheus exposition. */
interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Reads the text format of Prometheus, as far as metrics here use it: labels have no quotes in them. */
export function parseMetrics(text: string): readonly Sample[] {
  return text.split('\n').flatMap((line): Sample[] => {
    const [, name, inBraces = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)/.exec(line) ?? [];
    if (name === undefined) return [];
    const labels = [...inBraces.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = '', text_ = '']) => [key, text_] as const);
    return [{ name, labels: Object.fromEntries(labels), value: Number(value) }];
  });
}

async function metricsOf(node: KubeNode, url: string): Promise<readonly Sample[]> {
  return parseMetrics(await node.run('curl', '-sSf', '--max-time', '10', url));
}

/** Has a node's containerd show metrics; its pods live on. */
export async function showMetrics(node: KubeNode): Promise<void> {
  const file = node.file(CONFIGURATION);
  writeFileSync(file, `${readFileSync(file, 'utf8')}[metrics]\n  address = '127.0.0.1:1338'\n`);
  await node.kill('containerd', 'TERM');
  await waitFor(`metrics of containerd of ${node.layout.name}`, async () => (await callsOf(node)) !== undefined, {
    timeoutMs: 60_000,
    everyMs: 500,
  });
}

/** How often containerd has called its networks until now, and the seconds it waited for them. */
export interface Calls {
  readonly add: Waited;
  readonly del: Waited;
}

interface Waited {
  readonly count: number;
  readonly seconds: number;
}

/** What containerd has seen of its networks on a node: loopback and all plugins of the chain. */
export async function callsOf(node: KubeNode): Promise<Calls> {
  const samples = await metricsOf(node, CONTAINERD_METRICS);
  const waited = (operation: string): Waited => {
    const sum = (suffix: string): number =>
      samples
        .filter(({ name, labels }) => labels['operation_type'] === operation && name.endsWith(suffix))
        .filter(({ name }) => name.includes('network_plugin_operations_duration'))
        .reduce((total, { value }) => total + value, 0);
    return { count: sum('_count'), seconds: sum('_sum') };
  };
  return { add: waited('set_up_pod'), del: waited('tear_down_pod') };
}

/** The mean of a call between two looks at all nodes, in milliseconds. */
export function meanMs(before: readonly Calls[], after: readonly Calls[], which: keyof Calls): number {
  const total = (all: readonly Calls[], of: keyof Waited): number =>
    all.reduce((sum, calls) => sum + calls[which][of], 0);
  return (
    ((total(after, 'seconds') - total(before, 'seconds')) / (total(after, 'count') - total(before, 'count'))) * 1000
  );
}

/** What an agent has asked of its API server and been sent. */
export interface ApiUse {
  readonly requests: number;
  readonly bytes: number;
}

/** By verb and resource, such as `watch pods`. */
export type ApiUses = ReadonlyMap<string, ApiUse>;

/** What the agent of a node has asked of its API server and been sent since it started. */
export async function apiUsesOf(node: KubeNode): Promise<ApiUses> {
  const uses = new Map<string, ApiUse>();
  for (const { name, labels, value } of await metricsOf(
    node,
    `http://${node.layout.addresses[0]}:${AGENT_PORT}/metrics`,
  )) {
    const key = `${labels['verb']} ${labels['resource']}`.trim();
    const { requests = 0, bytes = 0 } = uses.get(key) ?? {};
    if (name === 'romana_agent_api_requests_total') uses.set(key, { requests: value, bytes });
    if (name === 'romana_agent_api_received_bytes_total') uses.set(key, { requests, bytes: value });
  }
  return uses;
}

/** The memory in use by a daemon of ours on a node, in MiB; undefined where it does not run. */
export function memoryOf(node: KubeNode, daemon: 'agent' | 'controller'): number | undefined {
  const pid = processTree([node.pid]).find((one) =>
    new RegExp(`/romana(\\.[jt]s)?\\0${daemon}\\0`).test(readUnlessGone(`/proc/${one}/cmdline`)),
  );
  return pid === undefined ? undefined : residentBytes(pid) / 2 ** 20;
}
