import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { programsFolder } from '../../src/local/kubernetes/programs.ts';

const BIN = join(programsFolder(process.env), 'bin');

/** Why upstream's end-to-end tests do not run here; false where they do. */
export const NO_E2E: string | false = ['e2e.test', 'ginkgo'].every((name) => existsSync(join(BIN, name)))
  ? false
  : `needs upstream's end-to-end tests in ${BIN}: sh scripts/kubernetes/build.sh e2e`;

/** One of upstream's specs, with what became of it. */
export interface Spec {
  readonly name: string;
  /** Where it is in Kubernetes' source: `FILE:LINE`. */
  readonly source: string;
  readonly state: 'passed' | 'failed' | 'skipped';
  readonly seconds: number;
  /** Why it failed or left itself out. */
  readonly reason: string;
  /** The end of what it said while it ran. */
  readonly said: string;
}

/** Which specs to run, and on which cluster. */
export interface RunOptions {
  readonly kubeconfig: string;
  /** Nodes that take any pod. */
  readonly nodes: number;
  /** Regular expressions (Go's) over names; a spec runs if one of `focus` matches and none of `skip` does. */
  readonly focus: readonly string[];
  readonly skip: readonly string[];
  /** How many specs run at the same time; those that say [Serial] run alone, at the end. */
  readonly processes: number;
  readonly timeoutMinutes: number;
}

/** What ginkgo writes of each spec, as far as it is read here (types.SpecReport). */
interface SpecReport {
  readonly ContainerHierarchyTexts: readonly string[] | null;
  readonly LeafNodeType: string;
  readonly LeafNodeText: string;
  readonly LeafNodeLocation: { readonly FileName: string; readonly LineNumber: number };
  readonly State: string;
  /** In nanoseconds. */
  readonly RunTime: number;
  readonly Failure?: { readonly Message?: string };
  readonly CapturedGinkgoWriterOutput?: string;
}

const SAID_LINES = 60;

/** The names of all specs that match `focus`, without a cluster. */
export async function listSpecs(focus: string): Promise<string[]> {
  return withReport(async (directory, report) => {
    await run(join(BIN, 'e2e.test'), directory, [
      '--provider=skeleton',
      '--ginkgo.dry-run',
      `--ginkgo.focus=${focus}`,
      `--ginkgo.json-report=${report}`,
    ]);
    return ranSpecs(report).map(({ name }) => name);
  });
}

/**
 * Runs upstream's end-to-end tests.
 *
 * @returns the specs that were chosen, whatever became of them.
 * @throws Error when the run as a whole came to nothing.
 */
export async function runUpstream(options: RunOptions): Promise<Spec[]> {
  return withReport(async (directory, report) => {
    const words = [
      `--procs=${options.processes}`,
      '--no-color',
      '--silence-skips',
      '--succinct',
      `--timeout=${options.timeoutMinutes}m`,
      '--output-dir=.',
      '--json-report=report.json',
      ...options.focus.map((pattern) => `--focus=${pattern}`),
      ...options.skip.map((pattern) => `--skip=${pattern}`),
      join(BIN, 'e2e.test'),
      '--',
      `--kubeconfig=${options.kubeconfig}`,
      '--provider=skeleton',
      `--num-nodes=${options.nodes}`,
      `--kubectl-path=${join(BIN, 'kubectl')}`,
    ];
    // Its status says no more than the report.
    const log = await run(join(BIN, 'ginkgo'), directory, words);
    if (!existsSync(report)) throw new Error(`upstream's tests wrote no report:\n${log}`);
    return ranSpecs(report);
  });
}

/** A table of what became of the specs, and of each that failed all that it said. */
export function formatRun(title: string, specs: readonly Spec[]): string {
  const of = (state: Spec['state']): Spec[] => specs.filter((spec) => spec.state === state);
  return [
    ...of('failed').flatMap((spec) => [`FAILED ${spec.name}`, `  ${spec.source}`, spec.said, `  ${spec.reason}`, '']),
    ...of('skipped').map((spec) => `left itself out: ${spec.name}: ${spec.reason}`),
    `upstream, ${title}: ${of('passed').length} passed, ${of('failed').length} failed, ${of('skipped').length} left themselves out`,
  ].join('\n');
}

async function withReport<T>(use: (directory: string, report: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'romana-e2e-'));
  try {
    return await use(directory, join(directory, 'report.json'));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Runs a program to its end, whatever that is, in `directory`. @returns the end of its output */
async function run(program: string, directory: string, words: readonly string[]): Promise<string> {
  const file = join(directory, 'log');
  const log = openSync(file, 'w');
  const child = spawn(program, words, {
    cwd: directory,
    env: { PATH: `${BIN}:${process.env['PATH'] ?? ''}`, HOME: directory },
    stdio: ['ignore', log, log],
  });
  const end = (): void => {
    child.kill('SIGTERM');
  };
  process.once('exit', end);
  await once(child, 'close');
  process.off('exit', end);
  return lastLines(readFileSync(file, 'utf8'), 40);
}

/** The specs in a ginkgo report that ran, or would have; suite nodes that failed count as specs. */
function ranSpecs(report: string): Spec[] {
  const suites = JSON.parse(readFileSync(report, 'utf8')) as { readonly SpecReports: readonly SpecReport[] }[];
  return suites
    .flatMap((suite) => suite.SpecReports)
    .filter((spec) => wasChosen(spec))
    .map((spec) => ({
      name: [...(spec.ContainerHierarchyTexts ?? []), spec.LeafNodeText].join(' ') || spec.LeafNodeType,
      source: `${spec.LeafNodeLocation.FileName}:${spec.LeafNodeLocation.LineNumber}`,
      state: spec.State === 'passed' || spec.State === 'skipped' ? spec.State : 'failed',
      seconds: spec.RunTime / 1e9,
      reason: spec.Failure?.Message ?? '',
      said: lastLines(spec.CapturedGinkgoWriterOutput ?? '', SAID_LINES),
    }));
}

/** Specs that no focus chose are in the report as skipped without a reason. */
function wasChosen({ LeafNodeType, State, Failure }: SpecReport): boolean {
  if (LeafNodeType !== 'It') return State !== 'passed' && State !== 'skipped';
  return State !== 'pending' && (State !== 'skipped' || (Failure?.Message ?? '') !== '');
}

function lastLines(text: string, count: number): string {
  return text.trimEnd().split('\n').slice(-count).join('\n');
}
