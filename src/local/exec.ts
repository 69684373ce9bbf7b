import { readdirSync, readFileSync } from 'node:fs';
import { err, ok, type Result } from '../lib/result.ts';
import type { ClusterLayout, NodeLayout } from './cluster-layout.ts';
import { enterNode, runAttached, runningNode } from './in-node.ts';
import { execInContainerd } from './kubernetes/exec-in-containerd.ts';
import { nodeProcess } from './nodes.ts';
import { isAlive } from './process-identity.ts';
import { enterContainer } from './runtime/enter-container.ts';
import { type ContainerRecord, type PodRecord, RECORDS_DIRECTORY } from './runtime/pod-record.ts';

/** A pod as people name it. */
export interface PodName {
  readonly namespace: string;
  readonly name: string;
}

/** Reads NAMESPACE/POD; a name alone is in `default`. */
export function parsePodName(text: string): Result<PodName> {
  const parts = text.split('/');
  const [namespace, name] = parts.length === 1 ? ['default', parts[0]] : parts;
  if (parts.length > 2 || !namespace || !name) return err(`'${text}' names no pod: NAMESPACE/POD is needed`);
  return ok({ namespace, name });
}

/** What `exec` needs. */
export interface ExecOptions {
  readonly layout: ClusterLayout;
  readonly pod: PodName;
  /** Its first one when undefined. */
  readonly container: string | undefined;
  readonly command: readonly string[];
  readonly term: string;
}

/**
 * Runs a command in a container of a pod, attached to this process's standard input, output and error, and returns
 * its exit status. It goes through the node runtime's records and asks no API server.
 */
export async function exec(options: ExecOptions): Promise<number> {
  const { layout, pod, command, term } = options;
  if (layout.flavour === 'kubernetes') return execInContainerd(options);
  const found = findPod(layout, pod);
  if (found === undefined) {
    throw new Error(`no node of cluster '${layout.name}' runs a pod ${pod.namespace}/${pod.name}`);
  }
  const container = pickContainer(found.record, options.container);
  const words = [...enterNode(runningNode(found.node)), ...enterContainer(container, command)];
  return runAttached('nsenter', words, { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', TERM: term === '' ? 'dumb' : term });
}

function pickContainer(record: PodRecord, name: string | undefined): ContainerRecord {
  const running = Object.values(record.containers).filter((container) => container.exit === undefined);
  const container = name === undefined ? running[0] : running.find((candidate) => candidate.name === name);
  if (container !== undefined) return container;
  const pod = `${record.namespace}/${record.name}`;
  throw new Error(name === undefined ? `no container of ${pod} runs` : `no container '${name}' of ${pod} runs`);
}

function findPod(layout: ClusterLayout, pod: PodName): { node: NodeLayout; record: PodRecord } | undefined {
  for (const node of layout.nodes) {
    const first = nodeProcess(node);
    if (first === undefined || !isAlive(first)) continue;
    for (const record of readRecords(`/proc/${first.pid}/root${RECORDS_DIRECTORY}`)) {
      if (record.namespace === pod.namespace && record.name === pod.name) return { node, record };
    }
  }
  return undefined;
}

function readRecords(directory: string): PodRecord[] {
  const records: PodRecord[] = [];
  let files: readonly string[];
  try {
    files = readdirSync(directory);
  } catch {
    return records; // the runtime has not started yet
  }
  for (const file of files.filter((name) => name.endsWith('.json'))) {
    try {
      records.push(JSON.parse(readFileSync(`${directory}/${file}`, 'utf8')) as PodRecord);
    } catch {
      // The pod went meanwhile.
    }
  }
  return records;
}
