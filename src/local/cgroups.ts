import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from '../lib/wait-for.ts';
import type { ClusterLayout, NodeLayout } from './cluster-layout.ts';

/** Where cgroups are mounted. */
const ROOT = '/sys/fs/cgroup';

/** How long a cgroup may take to be empty once its processes were killed, in milliseconds. */
const EMPTY_MS = 10_000;

/** The cgroup of a cluster, in every hierarchy, from its root. */
export function clusterCgroup(layout: ClusterLayout): string {
  return `/romana-local-${layout.name}`;
}

/** The cgroup that the kubelet of a node takes for the machine's own. */
export function nodeCgroup(layout: ClusterLayout, node: NodeLayout): string {
  return `${clusterCgroup(layout)}/${node.name}`;
}

/** Every v1 hierarchy, or the one tree of v2 (cgroups(7)). */
function hierarchies(): string[] {
  if (existsSync(`${ROOT}/cgroup.controllers`)) return [ROOT];
  return namesIn(ROOT)
    .map((name) => `${ROOT}/${name}`)
    .filter((path) => existsSync(`${path}/cgroup.procs`) && !lstatSync(path).isSymbolicLink());
}

/** Makes a cgroup in every hierarchy, with all controllers, and in it one named `services`. */
export function makeCgroups(cgroup: string): void {
  for (const hierarchy of hierarchies()) {
    let parent = hierarchy;
    for (const part of cgroup.split('/').filter((word) => word !== '')) parent = makeCgroup(parent, part);
    // In v2 a cgroup that hands controllers down holds no processes itself.
    makeCgroup(parent, 'services');
  }
}

function makeCgroup(parent: string, name: string): string {
  const path = join(parent, name);
  const handsDown = `${parent}/cgroup.subtree_control`;
  if (existsSync(handsDown) && existsSync(`${parent}/cgroup.controllers`)) {
    for (const controller of words(`${parent}/cgroup.controllers`)) {
      if (words(handsDown).includes(controller)) continue;
      try {
        writeFileSync(handsDown, `+${controller}`);
      } catch {
        // The kernel keeps some where they are, such as cpu while a real-time process runs.
      }
    }
  }
  mkdirSync(path, { recursive: true });
  // Those of v1 begin without processors and memory.
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    if (existsSync(`${path}/cgroup.clone_children`) && existsSync(`${path}/${file}`)) {
      writeFileSync(`${path}/${file}`, readFileSync(`${parent}/${file}`));
    }
  }
  return path;
}

/** Removes a cgroup with all below it from every hierarchy. @throws Error when processes stay in it */
export async function removeCgroups(cgroup: string): Promise<void> {
  await waitFor(
    `cgroup ${cgroup} to be empty`,
    () => {
      for (const hierarchy of hierarchies()) removeTree(hierarchy + cgroup);
      return true;
    },
    { timeoutMs: EMPTY_MS, everyMs: 20 },
  );
}

function removeTree(path: string): void {
  if (!existsSync(path)) return;
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) removeTree(`${path}/${entry.name}`);
  }
  rmdirSync(path);
}

function words(file: string): string[] {
  return readFileSync(file, 'utf8').trim().split(/\s+/);
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // a machine without cgroups
  }
}
