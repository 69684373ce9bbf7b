import { Field } from '../../objects/field.ts';
import { formatFieldErrors } from '../../objects/meta.ts';

/** Where one door of a pod of the check is. */
export interface Ports {
  /** 1 to 65535. */
  readonly tcp: number;
  readonly udp: number;
}

/**
 * A pod of the check answers at two doors alike. In the isolated namespace a policy opens one of them, which is how a
 * connection to the other is known to be denied and not merely late.
 */
export interface Doors {
  /** The address that it listens at; '' is all of the pod's own. */
  readonly address: string;
  readonly open: Ports;
  readonly shut: Ports;
}

/** What a pod of the check is asked to do; `id` tells its answer from others'. */
export type Order = { readonly id: number } & (
  | {
      /** Speaks TCP and UDP with another pod of the check, of that name. */
      readonly kind: 'talk';
      readonly address: string;
      readonly ports: Ports;
      readonly name: string;
      /** The address that the other must see it come from; '' is any. */
      readonly source: string;
    }
  | {
      /** Opens a TCP connection to anybody. */
      readonly kind: 'connect';
      readonly address: string;
      readonly port: number;
    }
  | {
      /** Asks each of the pod's own name servers for a service of the cluster, `name.namespace`. */
      readonly kind: 'resolve';
      readonly service: string;
      /** What it must come to, any of them. */
      readonly addresses: readonly string[];
    }
  | {
      /** Knocks at the shut door of a pod of the check whose open one answers. */
      readonly kind: 'knock';
      readonly address: string;
      readonly doors: Pick<Doors, 'open' | 'shut'>;
      readonly name: string;
    }
);

/** What came of an order. */
export interface Answer {
  readonly id: number;
  /** `ANSWERED`, `DROPPED` or what happened instead, in words. */
  readonly happened: string;
  /** How long it took, in milliseconds. */
  readonly ms: number;
}

/** What happens where a way is open. */
export const ANSWERED = 'answered';
/** What happens where a policy shuts a way: nothing comes back (R24). */
export const DROPPED = 'dropped';
/** How what happens begins where a way is shut for another reason than the policy. */
export const UNKNOWN = 'unknown';
/** What happens when nothing comes back, whatever the reason. */
export const TIMED_OUT = 'a time-out';
/** What happens where nobody listens, or a packet filter says no. */
export const REFUSED = 'a refusal';

function readPorts(field: Field): Ports {
  return { tcp: field.get('tcp').integer(1, 65_535), udp: field.get('udp').integer(1, 65_535) };
}

function readDoors(field: Field): Doors {
  return {
    address: field.get('address').string(),
    open: readPorts(field.get('open')),
    shut: readPorts(field.get('shut')),
  };
}

function readAnswer(field: Field): Answer {
  return {
    id: field.get('id').integer(0, Number.MAX_SAFE_INTEGER),
    happened: field.get('happened').string(),
    ms: field.get('ms').integer(0, Number.MAX_SAFE_INTEGER),
  };
}

function readAll<T>(json: unknown, what: string, read: (field: Field) => T): readonly T[] {
  const root = Field.root(json, { nulls: 'error' }, what);
  const items = root.items().map(read);
  if (root.absent) root.fail('is missing');
  if (root.errors.length > 0) throw new Error(`what the pod said can't be read: ${formatFieldErrors(root.errors)}`);
  return items;
}

/** Reads what a pod says when it listens. @throws Error that names what can't be read */
export function readListening(json: unknown): readonly Doors[] {
  return readAll(json, 'doors', readDoors);
}

/** Reads the answers to orders. @throws Error that names what can't be read */
export function readAnswers(json: unknown): readonly Answer[] {
  return readAll(json, 'answers', readAnswer);
}
