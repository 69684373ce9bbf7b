import { stringify } from 'yaml';
import { Reflector } from '../../kube/reflector.ts';
import { DENIED_REASON, denialReason, parseToldDenial, type ToldDenial } from '../../objects/denial.ts';
import { EVENTS } from '../../objects/resources.ts';
import { readObjects } from '../cluster-view.ts';
import type { WatchDependencies } from '../endpoints-watch.ts';
import { type Column, compareNames, type ListArguments, listCommand, type ListDependencies } from '../listing.ts';
import { logTo, watchedLine } from '../watching.ts';

/** A denied connection, as `romana policy denied -o json` has it. */
export type DeniedRow = Omit<ToldDenial, 'namespace' | 'name'>;

const COLUMNS: readonly Column<DeniedRow>[] = [
  { title: 'LAST', cell: ({ time }) => time },
  { title: 'NODE', cell: ({ node }) => node },
  { title: 'TIMES', cell: ({ times }) => String(times) },
  { title: 'DENIED', cell: ({ direction }) => direction },
  { title: 'FROM', cell: ({ from }) => from },
  { title: 'TO', cell: ({ to }) => to },
  { title: 'PORT', cell: ({ port }) => port },
  { title: 'BY', cell: denialReason },
];
const WIDTHS = [20, 10, 5, 7, 28, 28, 9, 0];
const SELECTED = `reason=${DENIED_REASON}`;

function rowOf(told: ToldDenial): DeniedRow {
  const { time, node, times, direction, from, fromAddress, to, toAddress, port, tier, object, field, near } = told;
  return { time, node, times, direction, from, fromAddress, to, toAddress, port, tier, object, field, near };
}

/** The latest at the end, where the eye of who reads a terminal is. */
function byTime(a: ToldDenial, b: ToldDenial): number {
  return compareNames(a.time, b.time) || compareNames(a.name, b.name);
}

/**
 * `romana policy denied`: what policy denied in the last hour, as the agents of all nodes have told of it in Events on
 * the pods. Resolves to the exit status of `listCommand`.
 */
export function deniedCommand(args: ListArguments, deps: ListDependencies): Promise<0 | 1> {
  return listCommand(args, deps, COLUMNS, async (client) => {
    const { namespace } = args;
    const read = await readObjects(client, EVENTS, parseToldDenial, { namespace, fieldSelector: SELECTED });
    const told = read.objects.filter((denial) => denial !== undefined);
    return { rows: told.sort(byTime).map(rowOf), unreadable: read.unreadable };
  });
}

/**
 * `romana policy denied -w`: the same, and then every denial as it is told of, until `signal`: one that is told of again
 * is another line. A server that goes away is waited for. Resolves to the exit status: 0; 1 if no cluster was found, or
 * the server did not answer at first.
 */
export async function deniedWatchCommand(args: ListArguments, deps: WatchDependencies): Promise<0 | 1> {
  const { clock, signal, stdout, stderr } = deps;
  const { namespace, output } = args;
  try {
    const client = await deps.connect();
    // Who may not read Events would be waited for without a word.
    await client.version(EVENTS, { namespace, signal });
    const shown = new Map<string, string>();
    const show = (keys: ReadonlySet<string>): void => {
      for (const key of keys) if (!reflector.store.has(key)) shown.delete(key);
      const told = [...keys].flatMap((key) => reflector.store.get(key) ?? []);
      for (const denial of told.sort(byTime)) {
        const key = `${denial.namespace}/${denial.name}`;
        const row = rowOf(denial);
        const text = JSON.stringify(row);
        if (shown.get(key) === text) continue;
        shown.set(key, text);
        stdout.write(lineOf(row, text, output));
      }
    };
    const reflector = new Reflector({
      client,
      clock,
      log: logTo(stderr),
      resource: EVENTS,
      parse: parseToldDenial,
      namespace,
      fieldSelector: SELECTED,
      onChange: show,
    });
    if (output === 'table') {
      stdout.write(
        watchedLine(
          COLUMNS.map(({ title }) => title),
          WIDTHS,
        ),
      );
    }
    await reflector.start(signal);
    return 0;
  } catch (error) {
    if (signal.aborted) return 0;
    stderr.write(`romana: ${(error as Error).message}\n`);
    return 1;
  }
}

function lineOf(row: DeniedRow, json: string, output: ListArguments['output']): string {
  if (output === 'json') return `${json}\n`;
  if (output === 'yaml') return `---\n${stringify(row)}`;
  return watchedLine(
    COLUMNS.map((column) => column.cell(row)),
    WIDTHS,
  );
}
