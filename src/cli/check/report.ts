import { formatTable, type Output } from '../listing.ts';
import { DROPPED, UNKNOWN } from './orders.ts';
import { stringify } from 'yaml';

/** A row of the table. */
export interface CheckRow {
  readonly from: string;
  readonly to: string;
  /** Null where it is not of one family. */
  readonly family: 4 | 6 | null;
  readonly expected: string;
  readonly happened: string;
  /** Milliseconds that it took; null where it was not tried. */
  readonly ms: number | null;
  readonly verdict: 'ok' | 'NOT AS EXPECTED' | 'not tried';
}

/** What a check found, as `romana check -o json` has it. */
export interface CheckReport {
  /** Whether nothing was otherwise than expected. */
  readonly good: boolean;
  /** Names of the nodes that were checked, and how many there are. */
  readonly nodes: { readonly checked: readonly string[]; readonly total: number };
  readonly rows: readonly CheckRow[];
  /** What to look at, where something was not as expected. */
  readonly hints: readonly string[];
}

/** What a fault of a row can be due to, the first that fits. */
const HINTS: readonly (readonly [(row: CheckRow) => boolean, string])[] = [
  [({ to }) => to === '-', 'A node or a pod is not up: see `romana status`, and the log of the agent of that node.'],
  [
    ({ happened }) => happened.includes('MTU'),
    'Large packets are lost: compare the MTU of the nodes with `mtu` of the Network (kubectl get network default -o yaml).',
  ],
  [
    ({ happened }) => happened.includes('seen as'),
    'Addresses of pods are translated on the way: look for masquerading beside ours (another network plugin, kube-proxy --masquerade-all).',
  ],
  [
    ({ expected, happened }) => expected === DROPPED && !happened.startsWith(UNKNOWN),
    'A policy is not enforced: see `romana status`, and `nft list table inet romana` on the node of the isolated pod.',
  ],
  [
    ({ to }) => to.includes('ClusterIP'),
    'Services are kube-proxy\'s: does it run on the node, with detectLocalMode InterfaceNamePrefix and interfaceNamePrefix "roma"?',
  ],
  [
    ({ to }) => to.includes('DNS'),
    "DNS: do its pods run (kubectl -n kube-system get pods -l k8s-app=kube-dns), and do services work on the pod's node?",
  ],
  [
    ({ to }) => to.startsWith('outside'),
    'Outside: does the node itself reach it, and is `masquerade` on in the Network (kubectl get network default -o yaml)?',
  ],
  [
    ({ to }) => to.startsWith('node '),
    "Towards a node: does the node's own firewall take packets from pods' addresses?",
  ],
  [
    ({ from, to }) => nodeOf(from) !== nodeOf(to),
    'Across nodes: has each node its routes (ip route show proto 82), and does what lies between pass packets of pods (source/destination checks of a cloud, port security)? docs/install.md has more.',
  ],
  [() => true, 'On one node: see `romana status`, and the log of its agent.'],
];

function nodeOf(text: string): string {
  return text.split(' ').at(-1) ?? '';
}

/** What to look at, once for each kind of fault. */
export function hintsOf(rows: readonly CheckRow[]): readonly string[] {
  const wrong = rows.filter(({ verdict }) => verdict === 'NOT AS EXPECTED');
  const found = wrong.map((row) => HINTS.find(([fits]) => fits(row))?.[1] ?? '');
  return [...new Set(found)];
}

/** The report as text, for people as a table. */
export function formatReport(report: CheckReport, output: Output): string {
  if (output === 'json') return `${JSON.stringify(report, undefined, 2)}\n`;
  if (output === 'yaml') return stringify(report);
  const { rows, hints, nodes } = report;
  const table = formatTable([
    ['FROM', 'TO', 'FAMILY', 'EXPECTED', 'HAPPENED', 'TIME', ''],
    ...rows.map((row) => [
      row.from,
      row.to,
      row.family === null ? '-' : `IPv${row.family}`,
      row.verdict === 'not tried' ? '-' : row.expected,
      row.verdict === 'not tried' ? `not tried: ${row.happened}` : row.happened,
      row.ms === null ? '-' : `${row.ms} ms`,
      row.verdict === 'not tried' ? '' : row.verdict,
    ]),
  ]);
  const of = nodes.checked.length < nodes.total ? ` (on ${nodes.checked.length} of ${nodes.total} nodes)` : '';
  const tried = rows.filter(({ verdict }) => verdict !== 'not tried').length;
  const wrong = rows.filter(({ verdict }) => verdict === 'NOT AS EXPECTED').length;
  const sum = wrong === 0 ? `All ${tried} were as expected${of}.` : `${wrong} of ${tried} were NOT as expected${of}.`;
  return `${table}\n${[sum, ...hints].join('\n')}\n`;
}
