import type { Address } from '../addr/address.ts';
import type { Cidr } from '../addr/cidr.ts';
import type { KubeClient } from '../kube/client.ts';
import { asRecord, asText, identityOf } from '../kube/json.ts';
import { NODES } from '../objects/resources.ts';
import { readIds, type IdsView } from './cluster-view.ts';
import { listCommand, type Column, type ListArguments, type ListDependencies, type Rows } from './listing.ts';

/** A host as `romana hosts -o json` has it. */
export interface HostRow {
  /** Its id. */
  readonly host: number;
  /** The Node's name. */
  readonly hostName: string;
  /** Whether the Node is there and its condition Ready is True. */
  readonly ready: boolean;
  /** The Node's own. */
  readonly addresses: readonly Address[];
  /** One a family: where the addresses of its pods are. */
  readonly ranges: readonly Cidr[];
  /** Addresses in use: of segments, and of the shared pool; missing until its agent has reported. */
  readonly use?: { readonly endpoints: number; readonly pool: number };
}

const COLUMNS: readonly Column<HostRow>[] = [
  { title: 'HOST', cell: ({ host }) => String(host) },
  { title: 'HOST NAME', cell: ({ hostName }) => hostName },
  { title: 'READY', cell: ({ ready }) => (ready ? 'yes' : 'no') },
  { title: 'ADDRESSES', cell: ({ addresses }) => addresses.join(' ') || '-' },
  { title: 'RANGES', cell: ({ ranges }) => ranges.join(' ') || '-' },
  { title: 'ENDPOINTS', cell: ({ use }) => (use === undefined ? 'not reported' : String(use.endpoints)) },
  { title: 'POOL', cell: ({ use }) => (use === undefined ? '-' : String(use.pool)) },
];

/** Whether a Node is Ready, and else why not, in the words of its kubelet. */
export interface NodeReadiness {
  readonly name: string;
  readonly ready: boolean;
  readonly why: string;
}

/** Reads the condition Ready of a core/v1 Node. */
export function readinessOf(node: unknown): NodeReadiness {
  const conditions: unknown = asRecord(asRecord(node)?.['status'])?.['conditions'];
  const all: readonly unknown[] = Array.isArray(conditions) ? conditions : [];
  const found = all.map(asRecord).find((condition) => condition?.['type'] === 'Ready');
  const why = asText(found?.['message']) || asText(found?.['reason']) || 'its kubelet has not said so yet';
  return { name: identityOf(node).name, ready: found?.['status'] === 'True', why };
}

/** The hosts by their ids. */
export function hostRows(ids: IdsView, nodes: readonly NodeReadiness[]): readonly HostRow[] {
  const ready = new Set(nodes.filter((node) => node.ready).map(({ name }) => name));
  const reports = new Map(ids.reports.map((report) => [report.meta.name, report]));
  return ids.hosts
    .map(({ id, meta: { name }, addresses, ranges }) => {
      const use = reports.get(name)?.use;
      const row = { host: id, hostName: name, ready: ready.has(name), addresses, ranges };
      return use === undefined ? row : { ...row, use };
    })
    .sort((a, b) => a.host - b.host);
}

async function read(client: KubeClient): Promise<Rows<HostRow>> {
  const [ids, nodes] = await Promise.all([readIds(client), client.list(NODES)]);
  return { rows: hostRows(ids, nodes.items.map(readinessOf)), unreadable: ids.unreadable };
}

/** `romana hosts`: JSON is a list of `HostRow`. Resolves to the exit status of `listCommand`. */
export function hostsCommand(args: ListArguments, deps: ListDependencies): Promise<0 | 1> {
  return listCommand(args, deps, COLUMNS, read);
}
