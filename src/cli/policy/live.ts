import { familyOf, type Address } from '../../addr/address.ts';
import { contains } from '../../addr/cidr.ts';
import type { Clock } from '../../lib/clock.ts';
import type { TraceAnswer, TraceQuestion } from '../../objects/policy-trace.ts';
import type { End, HeldRange } from '../../policy/connection-ends.ts';
import { evaluate, type Port, type Verdict, type World } from '../../policy/evaluate.ts';
import { addressesOf, type Party } from '../../policy/party.ts';
import { askHosts, type Asked, type AskingClient } from './ask-hosts.ts';

/** What the kernel of one host does with a connection between two addresses, in one direction. */
export interface LiveTrace {
  readonly host: string;
  readonly from: Address;
  readonly to: Address;
  readonly verdict: TraceAnswer['verdict'] | 'no answer';
  /** What policy says; null where the kernel's verdict is not known. */
  readonly agrees: boolean | null;
  readonly message: string;
  readonly path: readonly string[];
  readonly chain?: string;
  readonly comment?: string;
  readonly handle?: number;
  readonly position?: number;
  readonly rule?: string;
}

/** `live` of `romana policy explain --live -o json`. */
export interface LiveExplanation {
  /** False where one kernel differs, null where one could not be asked. */
  readonly agrees: boolean | null;
  /** One for each family that both ends have; none where no host judges the direction. */
  readonly egress: readonly LiveTrace[];
  readonly ingress: readonly LiveTrace[];
}

const DIRECTIONS = ['egress', 'ingress'] as const;

/** A connection whose two ends are known. */
export interface Connection {
  readonly world: World;
  readonly from: End;
  readonly to: End;
  readonly port: Port;
  /** Which host's an address is that no known pod has. */
  readonly ranges: readonly HeldRange[];
}

/** Asks the hosts that judge a connection what their kernels do, and holds it against policy. @throws as `askHosts` */
export async function explainLive(
  connection: Connection,
  client: AskingClient,
  clock: Clock,
): Promise<LiveExplanation> {
  const asked = await askHosts(questionsOf(connection), client, clock);
  const traces = (direction: TraceQuestion['direction']): readonly LiveTrace[] =>
    asked.filter(({ question }) => question.direction === direction).map((each) => traceOf(each, connection));
  const [egress, ingress] = [traces('egress'), traces('ingress')];
  const found = new Set([...egress, ...ingress].map(({ agrees }) => agrees));
  return { agrees: found.has(false) ? false : found.has(null) ? null : true, egress, ingress };
}

/** Egress is judged on the host of the pod that connects, ingress on that of the pod that is connected to. */
function questionsOf({ from, to, port, ranges }: Connection): readonly TraceQuestion[] {
  const service = port.protocol === 'ICMP' ? { protocol: port.protocol } : port;
  return DIRECTIONS.flatMap((direction) => {
    const host = judgeOf(direction === 'egress' ? from.party : to.party, ranges);
    if (host === '') return [];
    const asked = { host, direction, ...service };
    return pairsOf(from.party, to.party).map((pair) => Object.assign({}, asked, pair));
  });
}

/** The host of a pod, or of the address of what may be one; '' of whom no host judges. */
function judgeOf(party: Party, ranges: readonly HeldRange[]): string {
  if (party.kind === 'pod') return party.node;
  if (party.kind !== 'unknown') return '';
  return ranges.find(({ range }) => contains(range, party.address))?.host ?? '';
}

/** The first addresses of each family that both have. */
function pairsOf(from: Party, to: Party): readonly Pick<TraceQuestion, 'from' | 'to'>[] {
  return ([4, 6] as const).flatMap((family) => {
    const [source, destination] = [from, to].map((party) =>
      addressesOf(party).find((address) => familyOf(address) === family),
    );
    return source === undefined || destination === undefined ? [] : [{ from: source, to: destination }];
  });
}

function traceOf({ question, answer, silence = '' }: Asked, connection: Connection): LiveTrace {
  const { host, from, to, direction } = question;
  const ends = { host, from, to };
  if (answer === undefined) return { ...ends, verdict: 'no answer', agrees: null, message: silence, path: [] };
  const { verdict, message, path, ...place } = answer;
  const agrees = verdict === 'unknown' ? null : verdict === expected(connection, { from, to }, direction);
  return { ...ends, verdict, agrees, message, path, ...place };
}

/** What policy says of just these addresses. */
function expected(
  { world, from, to, port }: Connection,
  addresses: { readonly from: Address; readonly to: Address },
  direction: TraceQuestion['direction'],
): Verdict {
  const [source, destination] = [at(from.party, addresses.from), at(to.party, addresses.to)];
  return evaluate(world, source, destination, port)[direction].verdict;
}

function at(party: Party, address: Address): Party {
  return party.kind === 'pod' || party.kind === 'host' ? { ...party, addresses: [address] } : party;
}

/** What is said of one direction, a line or two for each host that was asked. */
export function liveLines(traces: readonly LiveTrace[]): readonly string[] {
  return traces.flatMap((trace) => {
    const { host, from, to, rule } = trace;
    const head = `host ${host}, ${from} to ${to}: ${traceText(trace)}`;
    const loud = trace.agrees === false ? [`THE KERNEL DIFFERS from what policy says`] : [];
    return [head, ...(rule === undefined ? [] : [`  ${rule}`]), ...loud];
  });
}

function traceText({ verdict, message, chain, handle, position, comment }: LiveTrace): string {
  if (verdict === 'no answer') return message;
  const words = VERDICT_TEXT[verdict];
  const of = comment === undefined ? '' : `, of ${comment}`;
  if (handle !== undefined) {
    const rule = `rule ${position} of chain ${chain} (handle ${handle}${of})`;
    return verdict === 'unknown' ? `${words}: ${message}: ${rule}` : `${words} by ${rule}`;
  }
  return `${words}: ${message}${of}`;
}

const VERDICT_TEXT = { allow: 'allowed', deny: 'denied', unknown: 'its agent cannot tell' } as const;

/** The last line: whether what is in force is what policy says. */
export function agreementText({ agrees, egress, ingress }: LiveExplanation): string {
  if (agrees === false) return 'THE KERNEL DOES NOT AGREE: what is in force is not what policy says';
  if (agrees === null) return 'whether the kernel agrees is not known';
  return egress.length + ingress.length === 0
    ? 'no host judges it: both ends are none of its pods'
    : 'the kernel agrees';
}
