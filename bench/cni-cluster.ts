import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { DEFAULT_PLANS, hostRange } from '../src/addr/plan.ts';
import { HttpKubeClient } from '../src/kube/http-client.ts';
import { DEMO_POLICIES, HOSTS, NAMESPACES, NETWORKS, PODS, TENANTS } from '../src/objects/resources.ts';

/** A cluster of one node for a bench: an API server in memory and a real agent. */
export interface BenchCluster {
  /** CNI_ARGS of each pod. */
  readonly pods: readonly string[];
  stop(): Promise<void>;
}

/** What a bench's cluster is made of. */
export interface BenchClusterOptions {
  readonly pods: number;
  readonly launcher: string;
  /** Where the agent puts the plugin. */
  readonly pluginDirectory: string;
  /** Where the agent puts the conflist. */
  readonly configurationDirectory: string;
  /** The node's address, which the agent finds the underlay by. */
  readonly address: string;
}

/** The policy that selects every pod: the founding page's. */
export const POLICY = 'pol1';

const NODE = 'bench';
const NAMESPACE = 'tenant-a';
const READY_MS = 20_000;

/**
 * Starts API server and agent in the network namespace of this process, with pods in an isolated namespace, all of
 * them selected by the founding page's policy. What the controller would write is written here.
 */
export async function startCluster(options: BenchClusterOptions): Promise<BenchCluster> {
  const token = randomBytes(16).toString('hex');
  const children: ChildProcess[] = [];
  try {
    const api = start('cni-api.ts', [token]);
    children.push(api.child);
    const server = `http://127.0.0.1:${await api.firstLine}`;
    const client = new HttpKubeClient({ server, token: () => Promise.resolve(token) });
    const pods = await makeObjects(client, options);
    await client.close();
    const { launcher, pluginDirectory, configurationDirectory } = options;
    const agent = start('cni-agent.ts', [server, token, NODE, launcher, pluginDirectory, configurationDirectory]);
    children.push(agent.child);
    await agent.firstLine;
    return { pods, stop: () => stopAll(children) };
  } catch (error) {
    await stopAll(children);
    throw error;
  }
}

async function makeObjects(client: HttpKubeClient, options: BenchClusterOptions): Promise<readonly string[]> {
  const plans = DEFAULT_PLANS.map(({ cidr, hostBits, tenantBits, segmentBits, endpointBits }) => ({
    cidr,
    hostBits,
    tenantBits,
    segmentBits,
    endpointBits,
  }));
  await client.create(NETWORKS, romana('Network', 'default', { spec: { plans } }));
  const ranges = DEFAULT_PLANS.map((plan) => hostRange(plan, 1));
  await client.create(HOSTS, romana('Host', NODE, { spec: { id: 1, ranges, addresses: [options.address] } }));
  const annotations = { 'net.alpha.kubernetes.io/network-isolation': 'on' };
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE, annotations } };
  await client.create(NAMESPACES, namespace);
  await client.create(TENANTS, romana('Tenant', NAMESPACE, {}));
  const segments = ['frontend', 'backend'].map((name, i) => ({ name, id: i + 1 }));
  await client.patch(TENANTS, NAMESPACE, { status: { id: 1, pooled: false, segments } }, { subresource: 'status' });
  await client.create(
    DEMO_POLICIES,
    {
      apiVersion: 'demo.romana.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: POLICY },
      spec: {
        podSelector: { segment: 'backend' },
        allowIncoming: { toPorts: [{ port: 80, protocol: 'TCP' }], from: [{ pods: { segment: 'frontend' } }] },
      },
    },
    NAMESPACE,
  );
  return await Promise.all(Array.from({ length: options.pods }, (_, i) => makePod(client, i)));
}

function romana(kind: string, name: string, more: object): object {
  return { apiVersion: 'romana.io/v1', kind, metadata: { name }, ...more };
}

async function makePod(client: HttpKubeClient, n: number): Promise<string> {
  const name = `pod-${n}`;
  const made = (await client.create(
    PODS,
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels: { segment: 'backend' } },
      spec: { nodeName: NODE, containers: [{ name: 'main', image: 'nginx' }] },
    },
    NAMESPACE,
  )) as { metadata: { uid: string } };
  return `IgnoreUnknown=1;K8S_POD_NAMESPACE=${NAMESPACE};K8S_POD_NAME=${name};K8S_POD_UID=${made.metadata.uid}`;
}

/** A program of this folder that ends when its standard input does. */
function start(file: string, args: readonly string[]): { child: ChildProcess; firstLine: Promise<string> } {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const child = spawn(process.execPath, [path, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  const ready = once(lines, 'line', { signal: AbortSignal.timeout(READY_MS) });
  const ended = once(child, 'exit').then(() => Promise.reject(new Error(`${file} has ended`)));
  ended.catch(() => undefined); // when it is stopped
  const firstLine = Promise.race([ready, ended]).then(
    ([line]) => String(line),
    (cause: unknown) => {
      throw new Error(`${file} did not get ready`, { cause });
    },
  );
  return { child, firstLine };
}

async function stopAll(children: readonly ChildProcess[]): Promise<void> {
  for (const child of children.toReversed()) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const gone = once(child, 'exit');
    child.stdin?.end();
    const late = setTimeout(() => child.kill('SIGKILL'), READY_MS);
    await gone;
    clearTimeout(late);
  }
}
