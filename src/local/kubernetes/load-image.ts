import { copyFileSync, renameSync } from 'node:fs';
import { basename } from 'node:path';
import type { ClusterLayout, NodeLayout } from '../cluster-layout.ts';
import { enterNode, runningNode } from '../in-node.ts';
import { isOn } from '../nodes.ts';
import { runCommand } from '../run-command.ts';
import { IN_NODE } from '../services.ts';

/** The cluster's own image archives, on the machine. Its registry serves them beside Kubernetes' own. */
export function imagesFolder(layout: ClusterLayout): string {
  return `${layout.libDirectory}/images`;
}

/**
 * Puts an image archive (OCI, as `ctr images import` takes it) into the cluster's registry and into containerd of every
 * node that is on, where it replaces an image of the same name.
 */
export async function loadImage(layout: ClusterLayout, archive: string): Promise<void> {
  const name = basename(archive);
  const copy = `${imagesFolder(layout)}/${name}`;
  copyFileSync(archive, `${copy}.new`);
  renameSync(`${copy}.new`, copy);
  const words = ['images', 'import', '--digests=false', `${IN_NODE.images}/${name}`];
  await Promise.all(layout.nodes.filter(isOn).map((node) => ctr(node, words)));
}

/** Runs containerd's client in a node, on what Kubernetes has there, and returns what it printed. */
export function ctr(node: NodeLayout, words: readonly string[]): Promise<string> {
  const program = `${IN_NODE.programs}/bin/ctr`;
  return runCommand('nsenter', [...enterNode(runningNode(node)), program, '--namespace', 'k8s.io', ...words]);
}
