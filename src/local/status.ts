import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { isNotFound, type KubeClient } from '../kube/client.ts';
import { NETWORKS, NODES, PODS } from '../objects/resources.ts';
import type { ClusterLayout, NodeLayout } from './cluster-layout.ts';
import { conditionOf, nameOf, objectsAt, textAt } from './kube-json.ts';
import { nodeProcess } from './nodes.ts';
import { isAlive } from './process-identity.ts';
import { ServiceLogs } from './service-logs.ts';

/** One service of a node. */
export interface ServiceStatus {
  readonly name: string;
  /** Inside the node; undefined when it does not run just now. */
  readonly pid: number | undefined;
  /** How many times it ended. */
  readonly ends: number;
}

/** One node. */
export interface NodeStatus {
  readonly name: string;
  readonly addresses: readonly string[];
  /** Of its process 1, on the machine; undefined when the node does not run. */
  readonly pid: number | undefined;
  readonly services: readonly ServiceStatus[];
  readonly ready: boolean;
  /** Why it is not ready; '' when it is, and when the API server does not say. */
  readonly reason: string;
}

/** One pod. */
export interface PodStatus {
  readonly namespace: string;
  readonly name: string;
  readonly node: string;
  readonly phase: string;
  readonly addresses: readonly string[];
}

/** What `romana local status` tells. */
export interface ClusterStatus {
  readonly nodes: readonly NodeStatus[];
  readonly pods: readonly PodStatus[];
  /** What is not as it should be, a sentence each; empty when all is well. */
  readonly problems: readonly string[];
}

/** Looks at the cluster's processes and asks its API server. */
export async function clusterStatus(layout: ClusterLayout, client: KubeClient): Promise<ClusterStatus> {
  const problems: string[] = [];
  const none = { items: [] as readonly unknown[] };
  // Where Romana is not installed there are no Networks.
  const ofRomana = client.list(NETWORKS).catch((error: unknown) => {
    if (isNotFound(error)) return none;
    throw error;
  });
  const lists = Promise.all([client.list(NODES), client.list(PODS), ofRomana]);
  const [nodes, pods, networks] = await lists.catch((error: unknown) => {
    problems.push(`the API server does not answer: ${error instanceof Error ? error.message : String(error)}`);
    return [undefined, undefined, undefined];
  });
  const logs = new ServiceLogs(layout).read();
  const statuses = layout.nodes.map((node): NodeStatus => {
    const first = nodeProcess(node);
    const pid = first !== undefined && isAlive(first) ? first.pid : undefined;
    const ends = (service: string): number =>
      logs.find((log) => log.node === node.name && log.service === service)?.ends ?? 0;
    const services = servicePids(node, pid).map((service): ServiceStatus => ({
      name: service.name,
      pid: service.pid,
      ends: ends(service.name),
    }));
    const json = nodes?.items.find((item) => nameOf(item) === node.name);
    const condition = conditionOf(json, 'Ready');
    const ready = condition?.status === 'True';
    const reason = ready || nodes === undefined ? '' : (condition?.message ?? 'not registered');
    if (pid === undefined) problems.push(`${node.name} does not run; start it: romana local node start ${node.name}`);
    else if (reason !== '') problems.push(`${node.name} is not Ready: ${reason}`);
    for (const service of services) {
      if (pid !== undefined && service.pid === undefined) problems.push(`${service.name} on ${node.name} does not run`);
    }
    return { name: node.name, addresses: node.addresses, pid, services, ready, reason };
  });
  for (const network of networks?.items ?? []) {
    const accepted = conditionOf(network, 'PlanAccepted');
    if (accepted?.status === 'False') problems.push(`Network ${nameOf(network)}: ${accepted.message}`);
  }
  for (const json of pods?.items ?? []) {
    const why = troubleOf(json);
    if (why !== undefined) problems.push(`pod ${textAt(json, 'metadata', 'namespace')}/${nameOf(json)}: ${why}`);
  }
  return { nodes: statuses, pods: (pods?.items ?? []).map(podStatus), problems };
}

/** The status as a table for people. */
export function formatStatus(name: string, status: ClusterStatus): string {
  const nodes = status.nodes.map((node) => [
    node.name,
    node.ready ? 'Ready' : node.reason === '' ? 'Unknown' : 'NotReady',
    node.addresses.join(' '),
    node.pid === undefined ? '-' : String(node.pid),
    node.services
      .map((s) => `${s.name}${s.pid === undefined ? ' (ended)' : ''}${s.ends > 0 ? ` (restarts: ${s.ends})` : ''}`)
      .join(', '),
  ]);
  const pods = status.pods.map((pod) => [
    `${pod.namespace}/${pod.name}`,
    pod.phase,
    pod.addresses.join(' ') || '-',
    pod.node || '-',
  ]);
  return [
    `cluster '${name}'`,
    table([['NODE', 'STATUS', 'ADDRESSES', 'PID', 'SERVICES'], ...nodes]),
    '',
    pods.length === 0 ? 'no pods' : table([['POD', 'PHASE', 'ADDRESSES', 'NODE'], ...pods]),
    ...(status.problems.length === 0 ? ['', 'all is well'] : ['', ...status.problems.map((p) => `problem: ${p}`)]),
    '',
  ].join('\n');
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Why a container of the pod waits, when it waits for something that went wrong. */
function troubleOf(json: unknown): string | undefined {
  for (const container of objectsAt(json, 'status', 'containerStatuses')) {
    const reason = textAt(container, 'state', 'waiting', 'reason');
    if (reason === '' || reason === 'ContainerCreating' || reason === 'PodInitializing') continue;
    const message = textAt(container, 'state', 'waiting', 'message');
    return message === '' ? reason : `${reason}: ${message}`;
  }
  return undefined;
}

function podStatus(json: unknown): PodStatus {
  return {
    namespace: textAt(json, 'metadata', 'namespace'),
    name: nameOf(json),
    node: textAt(json, 'spec', 'nodeName'),
    phase: textAt(json, 'metadata', 'deletionTimestamp') === '' ? textAt(json, 'status', 'phase') : 'Terminating',
    addresses: objectsAt(json, 'status', 'podIPs').map((entry) => textAt(entry, 'ip')),
  };
}

/** The services that the node was given, with the pids that its process 1 wrote down. */
function servicePids(node: NodeLayout, pid: number | undefined): { name: string; pid: number | undefined }[] {
  const directory = `${node.directory}/services`;
  if (!existsSync(directory)) return [];
  return readdirSync(directory).map((name) => {
    if (pid === undefined) return { name, pid: undefined };
    try {
      const service = Number(readFileSync(`/proc/${pid}/root/run/romana-node/${name}.pid`, 'utf8'));
      return { name, pid: existsSync(`/proc/${pid}/root/proc/${service}`) ? service : undefined };
    } catch {
      return { name, pid: undefined };
    }
  });
}
