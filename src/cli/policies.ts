import { parseDemoPolicy, type AllowIncoming, type DemoPolicy } from '../objects/demo-policy.ts';
import type { Labels } from '../objects/meta.ts';
import { parseNamespace, type Namespace } from '../objects/namespace.ts';
import { DEMO_POLICIES, NAMESPACES } from '../objects/resources.ts';
import { formatSelector, selectorFromLabels } from '../objects/selector.ts';
import type { Peer, PodSelection, Policy, Rule } from '../policy/model.ts';
import { portMatchName } from '../policy/near.ts';
import { readObjects, type ObjectsRead } from './cluster-view.ts';
import { readPolicies } from './read-policies.ts';
import { compareNames, listCommand, type Column, type ListArguments, type ListDependencies } from './listing.ts';

/** What a policy opens. */
export interface Opening {
  /** Of the pods that it opens: `segment=backend`; '' is all pods of the tenant. */
  readonly pods: string;
  /** Who comes in: selectors of pods of the tenant ('' is all of them), or anybody. */
  readonly from: readonly string[] | 'any';
  /** Where: `TCP/80`, or everywhere. */
  readonly ports: readonly string[] | 'any';
}

/** A policy as `romana policies -o json` has it. */
export interface PolicyRow {
  /** The namespace; '' for policies of the cluster. */
  readonly tenantName: string;
  readonly policyName: string;
  /** `demo` is demo.romana.io/v1 and its form of 2016, `v1` networking.k8s.io; the others are tiers of the cluster's. */
  readonly source: Policy['source'];
  /** Of policies of the cluster: lowest first. */
  readonly priority?: number;
  /** Whether the tenant is isolated; in one that is not, a demo policy changes nothing. */
  readonly isolated: boolean;
  /** Of v1 policies: the directions in which they isolate the pods that they select. */
  readonly isolates?: readonly string[];
  /** What a demo policy opens; null when it opens nothing; missing when it can't be read. */
  readonly opens?: Opening | null;
  /** Of the others, which pods they select, and their rules: `from app=web on TCP/80`, `deny to any on any port`. */
  readonly selects?: string;
  readonly rules?: readonly string[];
  /** Why it can't be read, and then opens nothing; or what in it fails closed. */
  readonly problem?: string;
}

const COLUMNS: readonly Column<PolicyRow>[] = [
  { title: 'TENANT NAME', cell: ({ tenantName }) => tenantName || '-' },
  { title: 'POLICY', cell: ({ policyName }) => policyName },
  { title: 'SOURCE', cell: ({ source, priority }) => (priority === undefined ? source : `${source} ${priority}`) },
  { title: 'ISOLATED', cell: isolatedText },
  { title: 'RULES', cell: (row) => (row.rules === undefined ? opensText(row) : rulesText(row)) },
];

function isolatedText({ source, isolated, isolates = [] }: PolicyRow): string {
  if (source === 'demo') return isolated ? 'yes' : 'no';
  return isolates.join(', ') || '-';
}

function rulesText({ selects = '', rules = [], problem }: PolicyRow): string {
  const text = `${podsText(selects, 'all pods')}: ${rules.length === 0 ? 'no rules' : rules.join('; ')}`;
  return problem === undefined ? text : `${text}; fails closed: ${problem}`;
}

function selectionText({ namespaces, pods }: PodSelection, own: string): string {
  const which = formatSelector(pods);
  if (namespaces.kind === 'names') {
    const others = namespaces.names.filter((name) => name !== own);
    return [others.join(' or '), podsText(which, 'all pods')].filter((text) => text !== '').join(' ');
  }
  const where = formatSelector(namespaces.selector);
  return `${podsText(which, 'all pods')} of ${where === '' ? 'all tenants' : `tenants ${where}`}`;
}

function peerText(peer: Peer, own: string): string {
  if (peer.kind === 'pods') return selectionText(peer.selection, own);
  if (peer.kind === 'nodes') return `nodes ${podsText(formatSelector(peer.selector), 'all')}`;
  return peer.blocks
    .map(({ cidr, except }) => [cidr, ...except.map((hole) => `except ${hole}`)].join(' '))
    .join(' or ');
}

function ruleText(
  source: Policy['source'],
  direction: 'from' | 'to',
  { action, peers, ports }: Rule,
  own: string,
): string {
  const verb = source === 'v1' ? '' : `${action.toLowerCase()} `;
  const who = peers === 'any' ? 'any' : peers.map((peer) => peerText(peer, own)).join(' or ') || 'nobody';
  const where = ports === 'any' ? 'any port' : [...new Set(ports.map(portMatchName))].join(', ') || 'no port';
  return `${verb}${direction} ${who} on ${where}`;
}

function rowOf(
  { source, ref, priority, subject, isolates, ingress, egress, problems }: Policy,
  isolated: boolean,
): PolicyRow {
  const directions = (['ingress', 'egress'] as const).filter((direction) => isolates[direction]);
  return {
    tenantName: ref.namespace,
    policyName: ref.name,
    source,
    isolated,
    ...(source === 'v1' ? { isolates: directions } : { priority }),
    selects: selectionText(subject, ref.namespace),
    rules: [
      ...ingress.map((rule) => ruleText(source, 'from', rule, ref.namespace)),
      ...egress.map((rule) => ruleText(source, 'to', rule, ref.namespace)),
    ],
    ...(problems.length === 0 ? {} : { problem: problems.map((p) => `${p.field}: ${p.message}`).join('; ') }),
  };
}

function podsText(selector: string, all: string): string {
  return selector === '' ? all : selector;
}

function opensText({ opens, problem }: PolicyRow): string {
  if (problem !== undefined) return `nothing, it can't be read: ${problem}`;
  if (opens === undefined || opens === null) return 'nothing';
  const { pods, ports, from } = opens;
  const where = ports === 'any' ? 'any port' : ports.join(', ') || 'no port';
  const who = from === 'any' ? 'anybody' : from.map((peer) => podsText(peer, 'all pods')).join(' or ') || 'nobody';
  return `${where} of ${podsText(pods, 'all pods')} to ${who}`;
}

function labelsText(labels: Labels): string {
  return formatSelector(selectorFromLabels(labels));
}

function openingOf(podSelector: Labels, { from, toPorts }: AllowIncoming): Opening {
  return {
    pods: labelsText(podSelector),
    from: from?.map(({ pods }) => labelsText(pods)) ?? 'any',
    ports: toPorts?.map(({ protocol, port }) => `${protocol}/${port}`) ?? 'any',
  };
}

/** The policies by tenant and name, those of the cluster first, also those that can't be read. */
export function policyRows(
  demos: ObjectsRead<DemoPolicy>,
  others: readonly Policy[],
  namespaces: readonly Namespace[],
): readonly PolicyRow[] {
  const open = new Set(namespaces.filter(({ isolated }) => !isolated).map(({ meta }) => meta.name));
  const start = (tenantName: string, policyName: string): Omit<PolicyRow, 'opens' | 'problem'> => ({
    tenantName,
    policyName,
    source: 'demo',
    isolated: !open.has(tenantName),
  });
  const good = demos.objects.map(({ meta, podSelector, allowIncoming }) => ({
    ...start(meta.namespace, meta.name),
    opens: allowIncoming === undefined ? null : openingOf(podSelector, allowIncoming),
  }));
  const bad = demos.unreadable.map(({ name, why }) => {
    const [tenantName = '', policyName = ''] = name.split('/');
    return { ...start(tenantName, policyName), problem: why };
  });
  const rest = others.map((policy) => rowOf(policy, policy.ref.namespace !== '' && !open.has(policy.ref.namespace)));
  return [...good, ...bad, ...rest].sort(
    (a, b) =>
      compareNames(a.tenantName, b.tenantName) ||
      compareNames(a.source, b.source) ||
      (a.priority ?? 0) - (b.priority ?? 0) ||
      compareNames(a.policyName, b.policyName),
  );
}

/**
 * `romana policies`: JSON is a list of `PolicyRow`. Resolves to the exit status of `listCommand`; a policy that can't
 * be read is a row like the others.
 */
export function policiesCommand(args: ListArguments, deps: ListDependencies): Promise<0 | 1> {
  const { namespace } = args;
  return listCommand(args, deps, COLUMNS, async (client) => {
    const [demos, policies, namespaces] = await Promise.all([
      readObjects(client, DEMO_POLICIES, parseDemoPolicy, { namespace }),
      readPolicies(client, namespace),
      readObjects(client, NAMESPACES, parseNamespace),
    ]);
    const others = policies.objects.filter(({ source }) => source !== 'demo');
    return { rows: policyRows(demos, others, namespaces.objects), unreadable: namespaces.unreadable };
  });
}
