import type { Occurrence } from '../kube/events.ts';
import { HOSTS } from '../objects/resources.ts';
import { TABLE } from '../plan/ruleset-builder.ts';

/**
 * Tells whoever looks at the Host of `node` that its rules were gone for a moment.
 *
 * @param by the name of the process that changed them.
 */
export function tableRepaired(node: string, uid: string | undefined, by: string): Occurrence {
  return {
    object: { apiVersion: `${HOSTS.group}/${HOSTS.version}`, kind: HOSTS.kind, name: node, uid },
    type: 'Warning',
    reason: 'RulesPutBack',
    message: `the nftables table inet ${TABLE} was changed on the node by ${by}, and is put back; what flushes all rules there, such as a restart of nftables.service, opens pods' policy for a moment`,
  };
}
