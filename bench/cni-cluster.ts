import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DEFAULT_PLANS, hostRange } from '../src/addr/plan.ts';
import { HttpKubeClient } from '../src/kube/http-client.ts';
import { waitFor } from '../src/lib/wait-for.ts';
import { kubeconfigText } from '../src/local/pki.ts';
import { ID_CLAIMS, idClaimToJson } from '../src/objects/id-claim.ts';
import { DEMO_POLICIES, HOSTS, NAMESPACES, NETWORKS, PODS, TENANTS } from '../src/objects/resources.ts';
import type { Contender, Sandbox } from './cni-call.ts';
import { PLUGINS } from './own-host.ts';

/** A cluster of one node for a bench: an API server in memory and a real agent. */
export interface BenchCluster {
  readonly pods: readonly Sandbox[];
  readonly crowd: readonly Sandbox[];
  /** The agent's process. */
  readonly agent: number;
  /** Ends the agent and starts another. @returns the seconds from its start until it connects pods */
  restartAgent(): Promise<number>;
  stop(): Promise<void>;
}

/** What a bench's cluster is made of. */
export interface BenchClusterOptions {
  /** In an isolated namespace, all of them selected by the founding page's policy. */
  readonly pods: number;
  /** More pods, of several segments of another isolated namespace with a policy each. */
  readonly crowd?: number;
  readonly launcher: string;
  /** The node's address, which the agent finds the underlay by. */
  readonly address: string;
}

/** Our plugin. */
export const ROMANA: Contender = {
  name: 'romana',
  plugins: PLUGINS,
  config: { cniVersion: '1.0.0', name: 'romana', type: 'romana' },
};

/** The policy that selects every pod: the founding page's. */
export const POLICY = 'pol1';

const NODE = 'bench';
const NAMESPACE = 'tenant-a';
const CROWD = 'tenant-b';
/** Few enough pods for each that a segment's 252 addresses of one host do. */
const CROWD_SEGMENTS = ['front', 'middle', 'back', 'store', 'watch'] as const;
const KUBECONFIG = '/run/bench/kubeconfig';
const READY_MS = 20_000;

/**
 * Starts API server and agent in the namespaces of this process. What the controller would write is written here. The
 * network namespaces pod0, pod1... are the pods', those of the crowd after the others.
 */
export async function startCluster(options: BenchClusterOptions): Promise<BenchCluster> {
  const token = randomBytes(16).toString('hex');
  const api = start([fileURLToPath(new URL('cni-api.ts', import.meta.url)), token]);
  const children: ChildProcess[] = [api.child];
  try {
    const server = `http://127.0.0.1:${await api.line(/^(\d+)$/m)}`;
    const client = new HttpKubeClient({ server, token: () => Promise.resolve(token) });
    const pods = await makeObjects(client, options);
    await client.close();
    writeFileSync(KUBECONFIG, kubeconfigText({ name: 'bench', server, ca: '', token }));
    let agent = await startAgent(options.launcher);
    children.push(agent);
    return {
      pods: pods.slice(0, options.pods),
      crowd: pods.slice(options.pods),
      get agent() {
        return agent.pid ?? 0;
      },
      restartAgent: async () => {
        await stopAll([agent]);
        const began = process.hrtime.bigint();
        agent = await startAgent(options.launcher);
        children.push(agent);
        return Number(process.hrtime.bigint() - began) / 1e9;
      },
      stop: () => stopAll(children),
    };
  } catch (error) {
    await stopAll(children);
    throw error;
  }
}

/** The real one; resolves when it connects pods. */
async function startAgent(launcher: string): Promise<ChildProcess> {
  const program = fileURLToPath(new URL('../src/bin/romana.ts', import.meta.url));
  const options = ['--node', NODE, '--kubeconfig', KUBECONFIG, '--launcher', launcher];
  const agent = start([program, 'agent', ...options]);
  await agent.line(/"(connects pods)"/);
  return agent.child;
}

async function makeObjects(client: HttpKubeClient, options: BenchClusterOptions): Promise<readonly Sandbox[]> {
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
  await client.create(ID_CLAIMS, idClaimToJson({ kind: 'Host', id: 1, holder: { name: NODE, uid: '' } }));
  await makeTenant(client, 1, NAMESPACE, ['frontend', 'backend']);
  await makePolicy(client, NAMESPACE, POLICY, { to: 'backend', from: 'frontend' });
  await makeTenant(client, 2, CROWD, CROWD_SEGMENTS);
  for (const segment of CROWD_SEGMENTS)
    await makePolicy(client, CROWD, `to-${segment}`, { to: segment, from: CROWD_SEGMENTS[0] });
  const all = Array.from({ length: options.pods + (options.crowd ?? 0) }, (_, n) => {
    if (n < options.pods) return makePod(client, n, NAMESPACE, 'backend');
    return makePod(client, n, CROWD, CROWD_SEGMENTS[n % CROWD_SEGMENTS.length] ?? CROWD_SEGMENTS[0]);
  });
  return await Promise.all(all);
}

async function makeTenant(
  client: HttpKubeClient,
  id: number,
  name: string,
  segmentNames: readonly string[],
): Promise<void> {
  const annotations = { 'net.alpha.kubernetes.io/network-isolation': 'on' };
  await client.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name, annotations } });
  await client.create(TENANTS, romana('Tenant', name, {}));
  const segments = segmentNames.map((segment, i) => ({ name: segment, id: i + 1 }));
  await client.patch(TENANTS, name, { status: { id, pooled: false, segments } }, { subresource: 'status' });
}

/** TCP port 80 of one segment, open to another of the same namespace. */
async function makePolicy(
  client: HttpKubeClient,
  namespace: string,
  name: string,
  { to, from }: { readonly to: string; readonly from: string },
): Promise<void> {
  const allowIncoming = { toPorts: [{ port: 80, protocol: 'TCP' }], from: [{ pods: { segment: from } }] };
  await client.create(
    DEMO_POLICIES,
    {
      apiVersion: 'demo.romana.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name },
      spec: { podSelector: { segment: to }, allowIncoming },
    },
    namespace,
  );
}

function romana(kind: string, name: string, more: object): object {
  return { apiVersion: 'romana.io/v1', kind, metadata: { name }, ...more };
}

async function makePod(client: HttpKubeClient, n: number, namespace: string, segment: string): Promise<Sandbox> {
  const name = `pod-${n}`;
  const made = (await client.create(
    PODS,
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels: { segment } },
      spec: { nodeName: NODE, containers: [{ name: 'main', image: 'nginx' }] },
    },
    namespace,
  )) as { metadata: { uid: string } };
  const args = `IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=${name};K8S_POD_UID=${made.metadata.uid}`;
  return { containerId: `bench-${n}`, netns: `/run/netns/pod${n}`, args };
}

interface Program {
  readonly child: ChildProcess;
  /** Resolves when a line of its output matches, with what the group caught. */
  line(pattern: RegExp): Promise<string>;
}

let started = 0;

/** A program whose output goes to a file: through a pipe it would wait for us while we wait for its answers. */
function start(args: readonly string[]): Program {
  started += 1;
  const log = `/run/bench/${started}.log`;
  const output = openSync(log, 'w');
  const child = spawn(process.execPath, args, { stdio: ['pipe', output, 'inherit'] });
  closeSync(output);
  const look = (pattern: RegExp): string | undefined => {
    const text = readFileSync(log, 'utf8');
    if (child.exitCode !== null) throw new Error(`${args.join(' ')} has ended: ${text}`);
    return pattern.exec(text)?.[1];
  };
  const line = (pattern: RegExp): Promise<string> =>
    waitFor(`${args.join(' ')} to say ${pattern}`, () => look(pattern), { timeoutMs: READY_MS, everyMs: 2 });
  return { child, line };
}

async function stopAll(children: readonly ChildProcess[]): Promise<void> {
  for (const child of children.toReversed()) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const gone = once(child, 'exit');
    child.kill();
    const late = setTimeout(() => child.kill('SIGKILL'), READY_MS);
    await gone;
    clearTimeout(late);
  }
}
