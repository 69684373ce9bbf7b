import type { KubeClient } from '../../kube/client.ts';
import type { Clock } from '../../lib/clock.ts';
import { OBEY } from './manifests.ts';
import { type Answer, type Order, readAnswers } from './orders.ts';
import { orderOf, planCheck, type PlannedPod, type PlannedRow, podText } from './plan.ts';
import { type CheckReport, type CheckRow, hintsOf } from './report.ts';
import { CheckStage, type Listening } from './stage.ts';
import { type CheckedNode, readWorld, type Target, type World } from './world.ts';

/** How a command in a pod ended. */
export interface ExecResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a check needs of its surroundings. */
export interface CheckOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  /** Runs a command in a pod, with this as its input. */
  readonly exec: (namespace: string, pod: string, command: readonly string[], input: string) => Promise<ExecResult>;
  /** A word that no other check has: lower case letters and digits. */
  readonly word: string;
  /** What the pods run; undefined: what the agents run. */
  readonly image: string | undefined;
  /** What the pods run where the agents are no DaemonSet. */
  readonly otherwise: string;
  /** At most so many nodes are checked; what is done grows with their square. */
  readonly maxNodes: number;
  /** What is reached outside; undefined: the API server, where it is outside. */
  readonly outside: readonly Target[] | undefined;
  /** How long pods may take to listen, in milliseconds. */
  readonly patienceMs: number;
  readonly progress: (line: string) => void;
  /** Ends the check early; what it made is removed all the same. */
  readonly signal: AbortSignal;
}

/** As much is shown of what a program said that failed, in characters. */
const MAX_WORDS = 200;

/**
 * Makes pods on nodes of the cluster, has them talk with each other and with whatever a pod talks with, and removes
 * them.
 *
 * @throws the signal's reason when it was ended early; Error when the cluster refuses what the check needs, or what it
 *   made does not go
 */
export async function runCheck(options: CheckOptions): Promise<CheckReport> {
  const { signal } = options;
  const world = await readWorld(options.client);
  const stage = new CheckStage(options);
  let report: CheckReport | undefined;
  let failure: unknown;
  try {
    report = await check(options, world, stage);
    signal.throwIfAborted();
  } catch (error) {
    failure = signal.aborted ? signal.reason : error;
  }
  try {
    await stage.clear();
  } catch (cause) {
    const first = failure === undefined ? '' : `${(failure as Error).message}; and then `;
    throw new Error(`${first}the clean-up did not come to its end: ${(cause as Error).message}`, { cause });
  }
  if (failure !== undefined || report === undefined) throw failure;
  return report;
}

async function check(options: CheckOptions, world: World, stage: CheckStage): Promise<CheckReport> {
  const { clock, progress, maxNodes } = options;
  const usable = world.nodes.filter(({ fault }) => fault === undefined);
  const nodes = usable.slice(0, maxNodes);
  const image = options.image ?? world.image ?? options.otherwise;
  const { pods, rows } = planCheck(world, nodes, options.outside);
  progress(`${nodes.length} of ${world.nodes.length} nodes; ${pods.length} pods of image ${image}`);
  const start = clock.now();
  await stage.make(pods, image);
  const listening = await stage.listening(pods);
  progress(`${listening.pods.size} of ${pods.length} pods run after ${((clock.now() - start) / 1_000).toFixed(1)} s`);
  const tried = rows.map((row, id) => ({ row, order: orderOf(row, id, listening.pods) }));
  const answers = await askAll(options, stage, tried);
  const done = [
    ...unfitRows(world.nodes),
    ...startRows(pods, listening),
    ...tried.map(({ row, order }, id) => rowOf(row, order, answers.get(id))),
  ];
  const good = nodes.length > 0 && done.every(({ verdict }) => verdict !== 'NOT AS EXPECTED');
  const checked = nodes.map(({ name }) => name);
  return { good, nodes: { checked, total: world.nodes.length }, rows: done, hints: hintsOf(done) };
}

type Tried = readonly { readonly row: PlannedRow; readonly order: ReturnType<typeof orderOf> }[];

/** Has each pod do its orders, all pods at once. What a pod can't be asked is what happened to all its orders. */
async function askAll(options: CheckOptions, stage: CheckStage, tried: Tried): Promise<ReadonlyMap<number, Answer>> {
  const byPod = new Map<PlannedPod, Order[]>();
  for (const { row, order } of tried) {
    if (row.from === undefined || !('kind' in order)) continue;
    const orders = byPod.get(row.from) ?? [];
    orders.push(order);
    byPod.set(row.from, orders);
  }
  const all = await Promise.all(
    [...byPod].map(([pod, orders]) => ask(options, stage.namespaceOf(pod), pod.name, orders)),
  );
  return new Map(all.flat().map((answer) => [answer.id, answer]));
}

async function ask(
  { exec, signal }: CheckOptions,
  namespace: string,
  pod: string,
  orders: readonly Order[],
): Promise<readonly Answer[]> {
  try {
    const { exitCode, stdout, stderr } = await exec(namespace, pod, OBEY, `${JSON.stringify(orders)}\n`);
    if (exitCode !== 0) throw new Error(`status ${exitCode}: ${stderr.trim().slice(0, MAX_WORDS) || 'no words'}`);
    return readAnswers(JSON.parse(stdout) as unknown);
  } catch (error) {
    signal.throwIfAborted();
    const happened = `the pod can't be asked: ${(error as Error).message}`;
    return orders.map(({ id }) => ({ id, happened, ms: 0 }));
  }
}

function rowOf(row: PlannedRow, order: Tried[number]['order'], answer: Answer | undefined): CheckRow {
  const { to, expected } = row;
  const base = { from: row.from === undefined ? 'pods' : podText(row.from), to, family: row.family ?? null, expected };
  if (!('kind' in order))
    return { ...base, happened: order.why, ms: null, verdict: order.wrong ? 'NOT AS EXPECTED' : 'not tried' };
  if (answer === undefined)
    return { ...base, happened: 'the pod gave no answer', ms: null, verdict: 'NOT AS EXPECTED' };
  const { happened, ms } = answer;
  return { ...base, happened, ms, verdict: happened === expected ? 'ok' : 'NOT AS EXPECTED' };
}

/** Nodes on which nothing could be checked. */
function unfitRows(nodes: readonly CheckedNode[]): readonly CheckRow[] {
  return nodes.flatMap(({ name, fault }) => (fault === undefined ? [] : [wrongRow(`node ${name}`, 'Ready', fault)]));
}

/** Pods that did not run, which is shown once and not for all that they would have been asked. */
function startRows(pods: readonly PlannedPod[], { faults }: Listening): readonly CheckRow[] {
  return pods.flatMap((pod) => {
    const fault = faults.get(pod.name);
    return fault === undefined ? [] : [wrongRow(podText(pod), 'runs', fault)];
  });
}

function wrongRow(from: string, expected: string, happened: string): CheckRow {
  return { from, to: '-', family: null, expected, happened, ms: null, verdict: 'NOT AS EXPECTED' };
}
