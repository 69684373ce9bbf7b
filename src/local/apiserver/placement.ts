import { arrayAt, at, objectAt, textAt, type ApiObject } from './api-object.ts';
import { type HostPort, hostPortsOf, portsClash } from './host-ports.ts';

interface Taint {
  readonly key: string;
  readonly value: string;
  readonly effect: string;
}

function isReady(node: ApiObject): boolean {
  return arrayAt(node, 'status', 'conditions').some((c) => at(c, 'type') === 'Ready' && at(c, 'status') === 'True');
}

/** A taint that Kubernetes sets by itself. */
function implied(name: string): Taint {
  return { key: `node.kubernetes.io/${name}`, value: '', effect: 'NoSchedule' };
}

/** The taints of a node; being not ready or unschedulable counts as the taint that Kubernetes then sets. */
function taintsOf(node: ApiObject): Taint[] {
  const own = arrayAt(node, 'spec', 'taints').map((taint) => ({
    key: textAt(taint, 'key'),
    value: textAt(taint, 'value'),
    effect: textAt(taint, 'effect'),
  }));
  if (!isReady(node)) own.push(implied('not-ready'));
  if (at(node, 'spec', 'unschedulable') === true) own.push(implied('unschedulable'));
  return own.filter((taint) => taint.effect === 'NoSchedule' || taint.effect === 'NoExecute');
}

function tolerates(toleration: unknown, taint: Taint): boolean {
  const effect = textAt(toleration, 'effect');
  if (effect !== '' && effect !== taint.effect) return false;
  const key = textAt(toleration, 'key');
  if (textAt(toleration, 'operator') === 'Exists') return key === '' || key === taint.key;
  return key === taint.key && textAt(toleration, 'value') === taint.value;
}

/** What the scheduler knows of the pods of nodes. */
export interface NodeUse {
  /** How many pods a node has. */
  readonly load: (node: string) => number;
  /** The ports of a node that its pods have taken. */
  readonly ports: (node: string) => readonly HostPort[];
}

/** Why a node can't take a pod, or undefined; `taken` are the ports that other pods have there. */
export function refusal(pod: ApiObject, node: ApiObject, taken: readonly HostPort[] = []): string | undefined {
  const wanted = Object.entries(objectAt(pod, 'spec', 'nodeSelector'));
  const labels = node.metadata.labels ?? {};
  if (wanted.some(([key, value]) => labels[key] !== value)) return "didn't match the Pod's node selector";
  const tolerations = arrayAt(pod, 'spec', 'tolerations');
  const taint = taintsOf(node).find((t) => !tolerations.some((toleration) => tolerates(toleration, t)));
  if (taint === undefined) {
    return portsClash(hostPortsOf(pod), taken) ? "didn't have free ports for the requested pod ports" : undefined;
  }
  return `had untolerated taint {${taint.key}${taint.value === '' ? '' : `: ${taint.value}`}}`;
}

/** Where a pod goes, or in words why nowhere. */
export type Placement = { readonly node: string } | { readonly message: string };

/**
 * The node for a pod: of those that can take it the one with the fewest pods, then the first by name.
 */
export function place(pod: ApiObject, nodes: readonly ApiObject[], use: NodeUse): Placement {
  const reasons = new Map<string, number>();
  let best: { readonly name: string; readonly pods: number } | undefined;
  for (const node of nodes) {
    const { name } = node.metadata;
    const reason = refusal(pod, node, use.ports(name));
    if (reason !== undefined) {
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      continue;
    }
    const pods = use.load(name);
    if (best === undefined || pods < best.pods || (pods === best.pods && name < best.name)) best = { name, pods };
  }
  if (best !== undefined) return { node: best.name };
  if (nodes.length === 0) return { message: 'no nodes available to schedule pods' };
  const why = [...reasons].map(([reason, count]) => `${count} node(s) ${reason}`).sort();
  return { message: `0/${nodes.length} nodes are available: ${why.join(', ')}.` };
}
