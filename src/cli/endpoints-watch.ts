import { stringify } from 'yaml';
import { parseHost } from '../objects/host.ts';
import { parsePod } from '../objects/pod.ts';
import { HOSTS, PODS, TENANTS } from '../objects/resources.ts';
import { parseTenant } from '../objects/tenant.ts';
import { Reflector } from '../kube/reflector.ts';
import { CoalescingRunner } from '../lib/coalescing-runner.ts';
import type { Clock } from '../lib/clock.ts';
import { readNetwork, readObjects } from './cluster-view.ts';
import { ENDPOINT_COLUMNS, endpointRows, type EndpointRow } from './endpoints.ts';
import { type ListArguments, type ListDependencies, type Output } from './listing.ts';
import { logTo, watchedLine } from './watching.ts';

/** A change as `romana endpoints -w -o json` has it, one a line. */
export interface EndpointEvent extends EndpointRow {
  /** `CHANGED`: the same address of the same pod says something else, such as a segment that has its name now. */
  readonly event: 'ADDED' | 'CHANGED' | 'GONE';
}

/** What `endpointsWatchCommand` works with. */
export interface WatchDependencies extends ListDependencies {
  readonly clock: Clock;
  /** Ends the watch. */
  readonly signal: AbortSignal;
}

/** Widths of the columns, so that lines that come later stand under the first ones; a longer cell shifts its line. */
const WIDTHS = [7, 19, 28, 12, 6, 7, 14, 8];

function keyOf({ address, tenantName, pod }: EndpointRow): string {
  return `${tenantName}/${pod} ${address}`;
}

/** What happened between two lists: what is gone first, since its address may be somebody else's now. */
export function endpointEvents(
  before: readonly EndpointRow[],
  after: readonly EndpointRow[],
): readonly EndpointEvent[] {
  const was = new Map(before.map((row) => [keyOf(row), row]));
  const is = new Set(after.map(keyOf));
  const gone = before.flatMap((row): EndpointEvent[] => (is.has(keyOf(row)) ? [] : [{ event: 'GONE', ...row }]));
  const news = after.flatMap((row): EndpointEvent[] => {
    const old = was.get(keyOf(row));
    if (old === undefined) return [{ event: 'ADDED', ...row }];
    return JSON.stringify(old) === JSON.stringify(row) ? [] : [{ event: 'CHANGED', ...row }];
  });
  return [...gone, ...news];
}

/** One change as a line, or as a YAML document of its own. */
export function formatEvent(event: EndpointEvent, output: Output): string {
  if (output === 'json') return `${JSON.stringify(event)}\n`;
  if (output === 'yaml') return `---\n${stringify(event)}`;
  return watchedLine([event.event, ...ENDPOINT_COLUMNS.map((column) => column.cell(event))], WIDTHS);
}

/** The first line of the table. */
export const EVENTS_TITLE: string = watchedLine(['EVENT', ...ENDPOINT_COLUMNS.map(({ title }) => title)], WIDTHS);

/**
 * `romana endpoints -w`: the present endpoints as ADDED, then every change, until `signal`. A server that goes away is
 * waited for. Resolves to the exit status: 0; 1 if no cluster was found, or the server did not answer at first.
 */
export async function endpointsWatchCommand(args: ListArguments, deps: WatchDependencies): Promise<0 | 1> {
  const { clock, signal, stdout, stderr } = deps;
  const { namespace, output } = args;
  try {
    const client = await deps.connect();
    const network = await readNetwork(client);
    // A kind that is not there would be waited for without a word.
    await Promise.all([readObjects(client, HOSTS, parseHost), readObjects(client, TENANTS, parseTenant)]);
    const log = logTo(stderr);
    let shown: readonly EndpointRow[] = [];
    const printing = new CoalescingRunner(
      async () => {
        if (!reflectors.every(({ synced }) => synced)) return;
        const ids = { network, hosts: [...hosts.store.values()], tenants: [...tenants.store.values()] };
        const rows = endpointRows(ids, [...pods.store.values()]);
        for (const event of endpointEvents(shown, rows)) stdout.write(formatEvent(event, output));
        shown = rows;
      },
      { clock, onError: (error) => log.error({ err: error }, 'could not show a change') },
    );
    const common = { client, clock, log, onChange: () => printing.markDirty() };
    const pods = new Reflector({ ...common, resource: PODS, parse: parsePod, namespace });
    const hosts = new Reflector({ ...common, resource: HOSTS, parse: parseHost });
    const tenants = new Reflector({ ...common, resource: TENANTS, parse: parseTenant });
    const reflectors = [pods, hosts, tenants];
    if (output === 'table') stdout.write(EVENTS_TITLE);
    await Promise.all([
      ...reflectors.map((reflector) => reflector.start(signal)),
      // An empty first list changes nothing, and may be the last one that was missing.
      ...reflectors.map(async (reflector) => {
        await reflector.whenSynced(signal).catch(() => undefined);
        printing.markDirty();
      }),
    ]);
    await printing.stop();
    return 0;
  } catch (error) {
    if (signal.aborted) return 0;
    stderr.write(`romana: ${(error as Error).message}\n`);
    return 1;
  }
}
