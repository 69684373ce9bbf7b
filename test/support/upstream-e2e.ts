import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { KubeClient } from '../../src/kube/client.ts';
import { mutate } from './mutating-policy.ts';
import { inScratchFolder, lastLines, runToEnd, type Spec } from './upstream-spec.ts';

/** Why upstream's end-to-end tests do not run with the programs in a folder; false where they do. */
export function noUpstream(programs: string): string | false {
  if (['e2e.test', 'ginkgo'].every((name) => existsSync(join(programs, 'bin', name)))) return false;
  return `needs upstream's end-to-end tests in ${programs}: sh scripts/kubernetes/build.sh ${programs} e2e`;
}

/** Which specs to run, and on which cluster. */
export interface RunOptions {
  /** The folder of Kubernetes' programs. */
  readonly programs: string;
  readonly kubeconfig: string;
  /** Nodes that take any pod. */
  readonly nodes: number;
  /** Regular expression (Go's) over names: of the specs that match, those run that no `skip` matches. */
  readonly focus: string;
  readonly skip?: readonly string[];
  /** How many specs run at the same time; those that say [Serial] run alone, at the end. */
  readonly processes: number;
  readonly timeoutMinutes: number;
}

/** What ginkgo writes of each spec, as far as it is read here (types.SpecReport). */
interface SpecReport {
  readonly ContainerHierarchyTexts: readonly string[] | null;
  readonly LeafNodeType: string;
  readonly LeafNodeText: string;
  readonly State: string;
  /** In nanoseconds. */
  readonly RunTime: number;
  readonly Failure?: {
    readonly Message?: string;
    readonly Location?: { readonly FileName: string; readonly LineNumber: number };
  };
  readonly CapturedGinkgoWriterOutput?: string;
}

const REPORT = 'report.json';

/** The names of upstream's specs that match `focus`; asks no cluster. */
export async function listSpecs(programs: string, focus: string): Promise<string[]> {
  const words = [
    'e2e.test',
    '--provider=skeleton',
    '--ginkgo.dry-run',
    `--ginkgo.focus=${focus}`,
    `--ginkgo.json-report=${REPORT}`,
  ];
  const specs = await inScratchFolder(async (directory) => {
    const output = await runToEnd(join(programs, 'bin'), words, directory);
    return readReport(directory, output);
  });
  return specs.map(({ name }) => name);
}

/**
 * Runs upstream's end-to-end tests.
 *
 * @returns the specs that were chosen, whatever became of them, and what failed around them.
 * @throws Error when the run as a whole came to nothing.
 */
export async function runUpstream(options: RunOptions): Promise<Spec[]> {
  const { programs, focus, skip = [] } = options;
  const words = [
    'ginkgo',
    `--procs=${options.processes}`,
    '--no-color',
    '--silence-skips',
    `--timeout=${options.timeoutMinutes}m`,
    '--output-dir=.',
    `--json-report=${REPORT}`,
    `--focus=${focus}`,
    ...skip.map((pattern) => `--skip=${pattern}`),
    join(programs, 'bin/e2e.test'),
    '--',
    `--kubeconfig=${options.kubeconfig}`,
    '--provider=skeleton',
    `--num-nodes=${options.nodes}`,
    `--kubectl-path=${join(programs, 'bin/kubectl')}`,
  ];
  return inScratchFolder(async (directory) => {
    const output = await runToEnd(join(programs, 'bin'), words, directory);
    return readReport(directory, output);
  });
}

/**
 * Has the servers of the spec that reaches pods by both families wait until they listen: it asks them as soon as they
 * run, and fails where a container takes longer to listen than its kubelet to say that it runs.
 */
export async function awaitServers(client: KubeClient): Promise<void> {
  const name = 'dualstack-server';
  const labels = { test: name };
  const probe = 'Object.spec.template.spec.containers.readinessProbe';
  await mutate(client, {
    name,
    resource: 'deployments',
    when: `object.metadata.name == "${name}"`,
    patches: `[JSONPatch{
      op: "add",
      path: "/spec/template/spec/containers/0/readinessProbe",
      value: ${probe}{tcpSocket: ${probe}.tcpSocket{port: 80}, periodSeconds: 1}
    }]`,
    tried: {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name },
      spec: {
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [{ name: 'main', image: 'tools' }] } },
      },
    },
    changed: (spec) => spec.includes('readinessProbe'),
  });
}

function readReport(directory: string, output: string): Spec[] {
  const file = join(directory, REPORT);
  if (!existsSync(file)) {
    throw new Error(`upstream's tests wrote no report, and said:\n${lastLines(readFileSync(output, 'utf8'), 40)}`);
  }
  const suites = JSON.parse(readFileSync(file, 'utf8')) as { readonly SpecReports: readonly SpecReport[] }[];
  return suites.flatMap((suite) => suite.SpecReports.filter(wasChosen).map(asSpec));
}

/** In the report, specs that were not chosen are skipped without a reason. */
function wasChosen({ LeafNodeType, State, Failure }: SpecReport): boolean {
  if (LeafNodeType !== 'It') return State !== 'passed' && State !== 'skipped';
  return State !== 'pending' && (State !== 'skipped' || (Failure?.Message ?? '') !== '');
}

function asSpec(report: SpecReport): Spec {
  const { FileName, LineNumber } = report.Failure?.Location ?? {};
  const where = FileName === undefined ? '' : ` (${FileName}:${LineNumber})`;
  return {
    name: [...(report.ContainerHierarchyTexts ?? []), report.LeafNodeText].join(' ') || report.LeafNodeType,
    state: report.State === 'passed' || report.State === 'skipped' ? report.State : 'failed',
    seconds: report.RunTime / 1e9,
    reason: report.Failure === undefined ? '' : `${report.Failure.Message ?? report.State}${where}`,
    said: report.CapturedGinkgoWriterOutput ?? '',
  };
}
