import { Field } from './field.ts';
import { parseObject, type Parsed } from './meta.ts';

/** The reason of the Events that tell of denied connections. */
export const DENIED_REASON = 'PolicyDenied';

/** The annotation of such an Event that says all of it field by field, as JSON. */
export const DENIAL_ANNOTATION = 'romana.io/denial';

/** A connection that policy denied, as the agent of one end's host saw it. */
export interface Denial {
  /** Whether it was denied to the pod that connects, or to the pod that is connected to. */
  readonly direction: 'ingress' | 'egress';
  /** `tenant-a/frontend`, `host minion1`, or an address. */
  readonly from: string;
  readonly fromAddress: string;
  readonly to: string;
  readonly toAddress: string;
  /** After service translation: `TCP/80`, `ICMP`, `protocol 47`. */
  readonly port: string;
  /** What denies, in the words of `romana policy explain`. */
  readonly tier: 'admin' | 'isolation' | 'baseline';
  readonly object: string;
  readonly field: string;
  /** Where isolation denies: the rules that came nearest, not all of them. */
  readonly near: readonly string[];
}

/** A denial as one node has told of it, perhaps many times. */
export interface ToldDenial extends Denial {
  /** Of the Event. */
  readonly namespace: string;
  readonly name: string;
  /** The Node whose agent told. */
  readonly node: string;
  /** When it did last, RFC 3339. */
  readonly time: string;
  /** How often it did: once a minute at most, however often it was tried. */
  readonly times: number;
}

const TIERS = { admin: 'Admin', baseline: 'Baseline' } as const;

/** What denies, in one line. */
export function denialReason({ tier, object, field, near }: Denial): string {
  if (tier !== 'isolation') return `${object} ${field} in the ${TIERS[tier]} tier`;
  const none = near.length === 0 ? 'and no policy allows anything' : `allowed by none of: ${near.join('; ')}`;
  return `isolated by ${object}, ${none}`;
}

/** The whole of it, in one line. */
export function denialText(denial: Denial): string {
  const { direction, from, fromAddress, to, toAddress, port } = denial;
  const pod = direction === 'ingress' ? to : from;
  return `${port} from ${endText(from, fromAddress)} to ${endText(to, toAddress)} is denied, ${direction} of ${pod}: ${denialReason(denial)}`;
}

function endText(name: string, address: string): string {
  return name === address || name.endsWith(`/${address}`) ? name : `${name} (${address})`;
}

/** Parses an Event that tells of a denial; undefined for any other. */
export function parseToldDenial(json: unknown): Parsed<ToldDenial | undefined> {
  return parseObject(json, { apiVersion: 'v1', kind: 'Event' }, { nulls: 'absent' }, (event, meta) => {
    const text = meta.annotations.get(DENIAL_ANNOTATION);
    if (event.get('reason').value !== DENIED_REASON || text === undefined) return undefined;
    const at = `metadata.annotations[${DENIAL_ANNOTATION}]`;
    const denial = Field.root(jsonOf(text), { nulls: 'error' }, at).required();
    const told = {
      ...readDenial(denial),
      namespace: meta.namespace,
      name: meta.name,
      node: event.get('source').get('host').string(''),
      time: event.get('lastTimestamp').string(''),
      times: event.get('count').integer(1, 2 ** 31, 1),
    };
    event.errors.push(...denial.errors);
    return told;
  });
}

function readDenial(denial: Field): Denial {
  return {
    direction: denial.get('direction').oneOf(['ingress', 'egress']),
    from: denial.get('from').string(),
    fromAddress: denial.get('fromAddress').string(),
    to: denial.get('to').string(),
    toAddress: denial.get('toAddress').string(),
    port: denial.get('port').string(),
    tier: denial.get('tier').oneOf(['admin', 'isolation', 'baseline']),
    object: denial.get('object').string(),
    field: denial.get('field').string(),
    near: denial.get('near').list((item) => item.string()),
  };
}

/** Undefined for what is no JSON. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
