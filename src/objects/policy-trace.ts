import { familyOf, parseAddress, type Address } from '../addr/address.ts';
import type { Field } from './field.ts';
import { MAX_ID } from './host.ts';
import { parseObject, type Meta, type Parsed } from './meta.ts';
import { apiVersionOf, POLICY_TRACES } from './resources.ts';

/** The label by which a host's agent watches only the questions to it. */
export const TRACE_HOST_LABEL = 'romana.io/host';

const MAX_LABEL_CHARS = 63;
const MAX_PORT = 65_535;
const PROTOCOLS = ['TCP', 'UDP', 'SCTP', 'ICMP'] as const;

/** What somebody wants to know of one host: what its kernel does with the first packet of a connection. */
export interface TraceQuestion {
  /** The name of the Node whose agent answers. */
  readonly host: string;
  /** As whose host it is asked: that of the pod that connects, or of the one that is connected to. */
  readonly direction: 'egress' | 'ingress';
  /** Addresses of one family. */
  readonly from: Address;
  readonly to: Address;
  readonly protocol: (typeof PROTOCOLS)[number];
  /** Of the destination; ICMP has none. */
  readonly port?: number;
}

/** What the kernel of that host does. */
export interface TraceAnswer {
  /** `unknown`: the agent can't tell; `message` says why. */
  readonly verdict: 'allow' | 'deny' | 'unknown';
  /** In words, for people. */
  readonly message: string;
  /** The chains that the packet goes through, in their order. */
  readonly path: readonly string[];
  /** Where it was decided; absent where no chain had to do with it. */
  readonly chain?: string;
  /** What the rule, else its chain, says in its comment: the policies that it is made of. */
  readonly comment?: string;
  /** Of the rule that decided, as nft(8) shows it with `-a`; absent where none did. */
  readonly handle?: number;
  /** Of the rule in its chain, from 1. */
  readonly position?: number;
  /** The rule as nft(8) lists it. */
  readonly rule?: string;
}

/** A question to one host, and its answer once the agent has given it. */
export interface PolicyTrace {
  readonly meta: Meta;
  readonly question: TraceQuestion;
  readonly answer?: TraceAnswer;
}

/**
 * The value of TRACE_HOST_LABEL for a host: its name as far as a label takes it. Hosts that begin alike see each other's
 * questions; `spec.host` says which one is meant.
 */
export function traceHostLabel(host: string): string {
  return host.slice(0, MAX_LABEL_CHARS).replace(/[^A-Za-z0-9]+$/, '');
}

/** A question as an object for the API, which gives it a name. */
export function policyTraceToJson(question: TraceQuestion): object {
  return {
    apiVersion: apiVersionOf(POLICY_TRACES),
    kind: POLICY_TRACES.kind,
    metadata: { generateName: 'explain-', labels: { [TRACE_HOST_LABEL]: traceHostLabel(question.host) } },
    spec: question,
  };
}

/** Reads the status whole, also while there is no verdict in it. */
function readAnswer(status: Field): TraceAnswer | undefined {
  const text = (name: 'chain' | 'comment' | 'rule'): object => {
    const field = status.get(name);
    return field.absent ? {} : { [name]: field.string() };
  };
  const number = (name: 'handle' | 'position', min: number, max: number): object => {
    const field = status.get(name);
    return field.absent ? {} : { [name]: field.integer(min, max) };
  };
  const rest = {
    message: status.get('message').string(''),
    path: status.get('path').list((item) => item.string()),
    ...text('chain'),
    ...text('comment'),
    ...number('handle', 0, Number.MAX_SAFE_INTEGER),
    ...number('position', 1, MAX_ID),
    ...text('rule'),
  };
  const verdict = status.get('verdict');
  return verdict.absent ? undefined : { verdict: verdict.oneOf(['allow', 'deny', 'unknown']), ...rest };
}

function readHost(field: Field): string {
  const host = field.string();
  if (host === '') field.fail('must not be empty');
  return host;
}

function readQuestion(spec: Field): TraceQuestion {
  const protocol = spec.get('protocol').oneOf(PROTOCOLS);
  const port = spec.get('port');
  if (port.absent !== (protocol === 'ICMP')) port.fail('must be there, but for ICMP');
  const [from, to] = (['from', 'to'] as const).map((end) => spec.get(end).parsed(parseAddress));
  if (from !== undefined && to !== undefined && familyOf(from) !== familyOf(to)) {
    spec.get('to').fail(`must be an address of the family of ${from}, found ${to}`);
  }
  return {
    host: readHost(spec.get('host')),
    direction: spec.get('direction').oneOf(['egress', 'ingress']),
    from: from ?? ('0.0.0.0' as Address),
    to: to ?? ('0.0.0.0' as Address),
    protocol,
    ...(port.absent ? {} : { port: port.integer(1, MAX_PORT) }),
  };
}

/** Parses a romana.io/v1 PolicyTrace. */
export function parsePolicyTrace(json: unknown): Parsed<PolicyTrace> {
  const type = { apiVersion: apiVersionOf(POLICY_TRACES), kind: POLICY_TRACES.kind };
  return parseObject(json, type, { nulls: 'error' }, (object, meta) => {
    const question = readQuestion(object.get('spec').required());
    const answer = readAnswer(object.get('status'));
    return { meta, question, ...(answer === undefined ? {} : { answer }) };
  });
}
