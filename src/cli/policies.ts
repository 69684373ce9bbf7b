import { parseDemoPolicy, type AllowIncoming, type DemoPolicy } from '../objects/demo-policy.ts';
import type { Labels } from '../objects/meta.ts';
import { parseNamespace, type Namespace } from '../objects/namespace.ts';
import { DEMO_POLICIES, NAMESPACES } from '../objects/resources.ts';
import { formatSelector, selectorFromLabels } from '../objects/selector.ts';
import { readObjects, type ObjectsRead } from './cluster-view.ts';
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
  /** The namespace. */
  readonly tenantName: string;
  readonly policyName: string;
  /** Where it comes from; `demo` is demo.romana.io/v1 and its form of 2016. */
  readonly source: 'demo';
  /** Whether the tenant is isolated; in one that is not, a demo policy changes nothing. */
  readonly isolated: boolean;
  /** What it opens; null when it opens nothing; missing when it can't be read. */
  readonly opens?: Opening | null;
  /** Why it can't be read; then nobody enforces it, and it opens nothing. */
  readonly problem?: string;
}

const COLUMNS: readonly Column<PolicyRow>[] = [
  { title: 'TENANT NAME', cell: ({ tenantName }) => tenantName },
  { title: 'POLICY', cell: ({ policyName }) => policyName },
  { title: 'SOURCE', cell: ({ source }) => source },
  { title: 'ISOLATED', cell: ({ isolated }) => (isolated ? 'yes' : 'no') },
  { title: 'OPENS', cell: opensText },
];

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

/** The policies by tenant and name, also those that can't be read. */
export function policyRows(
  { objects, unreadable }: ObjectsRead<DemoPolicy>,
  namespaces: readonly Namespace[],
): readonly PolicyRow[] {
  const open = new Set(namespaces.filter(({ isolated }) => !isolated).map(({ meta }) => meta.name));
  const start = (tenantName: string, policyName: string): Omit<PolicyRow, 'opens' | 'problem'> => ({
    tenantName,
    policyName,
    source: 'demo',
    isolated: !open.has(tenantName),
  });
  const good = objects.map(({ meta, podSelector, allowIncoming }) => ({
    ...start(meta.namespace, meta.name),
    opens: allowIncoming === undefined ? null : openingOf(podSelector, allowIncoming),
  }));
  const bad = unreadable.map(({ name, why }) => {
    const [tenantName = '', policyName = ''] = name.split('/');
    return { ...start(tenantName, policyName), problem: why };
  });
  return [...good, ...bad].sort(
    (a, b) => compareNames(a.tenantName, b.tenantName) || compareNames(a.policyName, b.policyName),
  );
}

/**
 * `romana policies`: JSON is a list of `PolicyRow`. Resolves to the exit status of `listCommand`; a policy that can't
 * be read is a row like the others.
 */
export function policiesCommand(args: ListArguments, deps: ListDependencies): Promise<0 | 1> {
  const { namespace } = args;
  return listCommand(args, deps, COLUMNS, async (client) => {
    const [policies, namespaces] = await Promise.all([
      readObjects(client, DEMO_POLICIES, parseDemoPolicy, { namespace }),
      readObjects(client, NAMESPACES, parseNamespace),
    ]);
    return { rows: policyRows(policies, namespaces.objects), unreadable: namespaces.unreadable };
  });
}
