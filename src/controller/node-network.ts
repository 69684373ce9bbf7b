import type { HostReport } from '../objects/host-report.ts';
import type { Host } from '../objects/host.ts';
import type { Node, NodeCondition } from '../objects/node.ts';
import type { Action, ClusterState } from './state.ts';

/** The condition of a Node that says whether its pods have a network (core/v1 NodeNetworkUnavailable). */
export const NETWORK_UNAVAILABLE = 'NetworkUnavailable';

/** What a Node's condition says when its agent connects pods. */
const UP = { status: 'False', reason: 'RomanaIsUp', message: 'the agent of this node connects pods' } as const;

/**
 * The Nodes whose condition NetworkUnavailable is to be changed, by what their agents report; a Node whose agent has
 * not said yet that it serves is left alone, whatever was there before.
 */
export function nodeConditions({ nodes, hosts, reports, unreadable }: ClusterState): readonly Action[] {
  return [...nodes.values()].flatMap((node) => {
    const { name } = node.meta;
    if (unreadable.has(name)) return [];
    const condition = conditionOf(hosts.get(name), reports.get(name));
    return condition === undefined || sameCondition(node, condition)
      ? []
      : [{ kind: 'set-node-network', node: node.meta, condition } as const];
  });
}

/**
 * An agent reports conditions when it serves. They are those of this Node only if they came under its present Host: a
 * machine that was replaced under the same name has left a report.
 */
function conditionOf(host: Host | undefined, report: HostReport | undefined): NodeCondition | undefined {
  if (host === undefined || report?.hostUid !== host.meta.uid || report.conditions.length === 0) return undefined;
  const blocked = report.conditions.find(({ type, status }) => type === 'ForwardingAllowed' && status === 'False');
  return blocked === undefined ? UP : { status: 'True', reason: blocked.reason, message: blocked.message };
}

function sameCondition({ networkUnavailable }: Node, { status, reason, message }: NodeCondition): boolean {
  const known = networkUnavailable;
  return known?.status === status && known.reason === reason && known.message === message;
}
