import { stringify } from 'yaml';
import type { KubeClient } from '../kube/client.ts';
import type { SegmentUse, Unreadable } from './cluster-view.ts';

/** How a list is printed: for people, or as a JSON or YAML list whose items have the fields of the rows. */
export type Output = 'table' | 'json' | 'yaml';

/** What a person typed behind `romana hosts` and the other lists. */
export interface ListArguments {
  readonly output: Output;
  /** Of this namespace alone, where there are namespaces. */
  readonly namespace?: string | undefined;
}

/** What the lists work with. */
export interface ListDependencies {
  /** @throws Error that says where a cluster was looked for */
  connect(): Promise<KubeClient>;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

/** One column of a table. */
export interface Column<T> {
  readonly title: string;
  cell(row: T): string;
}

/** Rows of a list, and what could not be read for it. */
export interface Rows<T> {
  readonly rows: readonly T[];
  readonly unreadable: readonly Unreadable[];
}

/** Cells under each other in columns as wide as their widest cell; no line ends in a space, the last has an end. */
export function formatTable(lines: readonly (readonly string[])[]): string {
  // Texts of others' objects must not steer a terminal.
  const safe = lines.map((cells) => cells.map((cell) => cell.replaceAll(/\p{Cc}+/gu, ' ')));
  const widths = (safe[0] ?? []).map((_, i) => Math.max(...safe.map((cells) => cells[i]?.length ?? 0)));
  const text = safe.map((cells) =>
    cells
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('   ')
      .trimEnd(),
  );
  return `${text.join('\n')}\n`;
}

/** A list as text, with its final line end. */
export function formatRows<T>(rows: readonly T[], columns: readonly Column<T>[], output: Output): string {
  if (output === 'json') return `${JSON.stringify(rows, undefined, 2)}\n`;
  if (output === 'yaml') return stringify(rows, { aliasDuplicateObjects: false });
  return formatTable([
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map((column) => column.cell(row))),
  ]);
}

/** How names are sorted: by their UTF-16 units, everywhere the same. */
export function compareNames(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** For a table: `5`, or `5 (minion1: 3, minion2: 2)`. */
export function useText({ endpoints, hosts }: SegmentUse): string {
  if (hosts.length === 0) return String(endpoints);
  return `${endpoints} (${hosts.map((used) => `${used.hostName}: ${used.endpoints}`).join(', ')})`;
}

/**
 * Reads and prints one list. Resolves to the exit status: 0; 1 if no cluster was found, the server refused or did not
 * answer, or an object can't be read, which stderr names while the others are printed.
 */
export async function listCommand<T>(
  { output }: ListArguments,
  deps: ListDependencies,
  columns: readonly Column<T>[],
  read: (client: KubeClient) => Promise<Rows<T>>,
): Promise<0 | 1> {
  try {
    const { rows, unreadable } = await read(await deps.connect());
    deps.stdout.write(formatRows(rows, columns, output));
    for (const { kind, name, why } of unreadable) deps.stderr.write(`romana: ${kind} ${name} can't be read: ${why}\n`);
    return unreadable.length === 0 ? 0 : 1;
  } catch (error) {
    deps.stderr.write(`romana: ${(error as Error).message}\n`);
    return 1;
  }
}
