import { evaluate, type Decision, type Reason } from '../../policy/evaluate.ts';
import { findEnd, parseTriedPort, type End } from '../../policy/connection-ends.ts';
import { triedPortName } from '../../policy/matrix.ts';
import { portAt } from '../../policy/verdict-table.ts';
import { lineOf } from './field-line.ts';
import { agreementText, explainLive, liveLines, type LiveExplanation } from './live.ts';
import type { PolicyWorld } from './policy-world.ts';
import { BadInput, clusterIn, given, readWorld, withStatus, type PolicyDependencies } from './read-world.ts';

/** What a person typed behind `romana policy explain`. */
export interface ExplainArguments {
  /** Empty: the cluster. */
  readonly files: readonly string[];
  readonly from: string;
  readonly to: string;
  readonly port: string;
  /** Whether the hosts are asked what their kernels do. */
  readonly live: boolean;
  readonly output: 'text' | 'json';
}

/** One direction as `-o json` has it: where the object that decided stands in files, and what came near. */
export interface ExplainedReason {
  readonly verdict: Reason['verdict'];
  readonly tier: Reason['tier'];
  readonly object: string;
  readonly field: string;
  readonly file?: string;
  /** From 1. */
  readonly line?: number;
  readonly near?: readonly string[];
}

/** `romana policy explain -o json`. */
export interface Explanation {
  readonly verdict: Decision['verdict'];
  readonly egress: ExplainedReason;
  readonly ingress: ExplainedReason;
  readonly notes?: readonly string[];
  /** With `--live`. */
  readonly live?: LiveExplanation;
}

async function explainReason(
  { verdict, tier, object, field, near }: Reason,
  { places }: PolicyWorld,
): Promise<ExplainedReason> {
  // Where several policies isolate, the first stands for all.
  const place = places.get(object.split(', ')[0] ?? '');
  return {
    verdict,
    tier,
    object,
    field,
    ...(place === undefined ? {} : { file: place.source, line: await lineOf(place, field) }),
    ...(near.length === 0 ? {} : { near }),
  };
}

function notesOf(ends: readonly End[]): readonly string[] {
  return ends.flatMap(({ name, party }) => {
    if (party.kind === 'pod' && party.addresses.length === 0) {
      return [`pod ${name} has no address: of CIDRs only those of length 0 match it`];
    }
    if (party.kind === 'unknown') return [`${name} is in the range of a host, and no pod that is known has it: closed`];
    if (party.kind !== 'host') return [];
    return name.includes('/')
      ? [`pod ${name} is on the network of its host ${party.name}, whom no policy selects`]
      : [];
  });
}

const TIER_TEXT: Readonly<Record<'admin' | 'policy' | 'baseline', string>> = {
  admin: 'in the Admin tier',
  policy: 'in the NetworkPolicy tier',
  baseline: 'in the Baseline tier',
};

function placeText({ file, line }: ExplainedReason): string {
  return file === undefined ? '' : ` (${file}:${line})`;
}

/** What is said of one side: in one line, and the near misses below. */
function reasonText(reason: ExplainedReason): string {
  const { verdict, tier, object, field, near = [] } = reason;
  const verb = verdict === 'allow' ? 'allowed' : 'denied';
  switch (tier) {
    case 'always':
      return object === '' ? 'allowed: no policy selects it' : `allowed always: ${object} is the other end`;
    case 'default':
      return 'allowed: no policy says anything';
    case 'isolation': {
      const isolated = `denied: isolated by ${object}${placeText(reason)}`;
      if (near.length === 0) return `${isolated}, and no policy allows anything`;
      return [`${isolated}, allowed by none of:`, ...near].join('\n    ');
    }
    case 'admin':
    case 'policy':
    case 'baseline':
      return `${verb} by ${object} ${field} ${TIER_TEXT[tier]}${placeText(reason)}`;
  }
}

function indented(traces: LiveExplanation['egress'] = []): readonly string[] {
  return liveLines(traces).map((line) => `    ${line}`);
}

function explanationText(explanation: Explanation, from: End, to: End, port: string): string {
  const { verdict, egress, ingress, notes = [], live } = explanation;
  return [
    `${verdict === 'allow' ? 'allowed' : 'denied'}: ${from.name} to ${to.name} on ${port}`,
    `  egress of ${from.name}: ${reasonText(egress)}`,
    ...indented(live?.egress),
    `  ingress of ${to.name}: ${reasonText(ingress)}`,
    ...indented(live?.ingress),
    ...(live === undefined ? [] : [agreementText(live)]),
    ...notes.map((note) => `note: ${note}`),
    '',
  ].join('\n');
}

/** How often hosts are asked that differ from policy, which may have changed in between, and how long it waits first. */
const LOOKS = 3;
const LOOK_AGAIN_MS = 500;

/** Explains with the world as it is now. */
async function explain(
  args: ExplainArguments,
  deps: PolicyDependencies,
): Promise<{ explanation: Explanation; text: string }> {
  const tried = given(parseTriedPort(args.port));
  const world = await readWorld(args.files, deps);
  const cluster = clusterIn(world);
  const [from, to] = [given(findEnd(args.from, cluster, world)), given(findEnd(args.to, cluster, world))];
  const port = portAt(tried, to);
  if (port === undefined) throw new BadInput(`${to.name} has no container port ${triedPortName(tried)}`);
  const decision = evaluate(cluster.world, from.party, to.party, port);
  const notes = notesOf([from, to]);
  const live = args.live
    ? await explainLive(
        { world: cluster.world, from, to, port, ranges: world.ranges },
        await deps.connect(),
        deps.clock,
      )
    : undefined;
  const explanation: Explanation = {
    verdict: decision.verdict,
    egress: await explainReason(decision.egress, world),
    ingress: await explainReason(decision.ingress, world),
    ...(notes.length === 0 ? {} : { notes }),
    ...(live === undefined ? {} : { live }),
  };
  return { explanation, text: explanationText(explanation, from, to, triedPortName(port)) };
}

/**
 * `romana policy explain`: whether one end may open a connection to a port of the other, and what decides.
 * Resolves to the exit status: 0 allowed, 1 denied, 2 bad input, or no cluster; 3 with `--live` where a kernel does
 * otherwise or can't be asked.
 */
export function explainCommand(args: ExplainArguments, deps: PolicyDependencies): Promise<0 | 1 | 2 | 3> {
  return withStatus<0 | 1 | 3>(deps, async () => {
    if (args.live && args.files.length > 0) throw new BadInput('--live asks the cluster, and takes no files');
    let found = await explain(args, deps);
    for (let look = 1; found.explanation.live?.agrees === false && look < LOOKS; look += 1) {
      await deps.clock.sleep(LOOK_AGAIN_MS);
      found = await explain(args, deps);
    }
    const { explanation, text } = found;
    deps.stdout.write(args.output === 'json' ? `${JSON.stringify(explanation, undefined, 2)}\n` : text);
    if (explanation.live !== undefined && explanation.live.agrees !== true) return 3;
    return explanation.verdict === 'allow' ? 0 : 1;
  });
}
