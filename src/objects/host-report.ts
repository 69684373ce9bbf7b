import { err, ok, type Result } from '../lib/result.ts';
import { describe, type Field } from './field.ts';
import { MAX_ID } from './host.ts';
import { parseObject, type Meta, type Parsed } from './meta.ts';

/** How many leases of one host are in one segment. */
export interface LeaseCount {
  /** 0: the shared pool, whose segment is 0. */
  readonly tenant: number;
  readonly segment: number;
  /** From 1. */
  readonly count: number;
}

/** A condition of meta/v1. */
export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  /** One word in CamelCase. */
  readonly reason: string;
  readonly message: string;
  /** RFC 3339. */
  readonly lastTransitionTime: string;
}

/** A policy of which something fails closed on a host. */
export interface Unenforced {
  readonly apiVersion: string;
  readonly kind: string;
  /** '' of what is cluster scoped. */
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Of the spec that it is about, where that is known. */
  readonly generation?: number;
  /** Which field, and why. */
  readonly message: string;
}

/** What a host's agent tells the controller. */
export interface HostReport {
  readonly meta: Meta;
  /** The host id that the agent acts with; absent while it has none. */
  readonly hostId?: number;
  /** The uid of the Host that the agent acts as; absent in reports of older agents. */
  readonly hostUid?: string;
  /** The ids that leases on this host use. */
  readonly leases: readonly LeaseCount[];
  /** Names of the releases of ids, as the controller gave them, that this agent has acted on: it means nobody by them any more. */
  readonly acknowledged: readonly string[];
  readonly conditions: readonly Condition[];
  /** Policies that select pods of the host and of which something fails closed; the first ones if they are many. */
  readonly unenforced: readonly Unenforced[];
  /** When the agent wrote this, RFC 3339: at least once a minute while it lives. */
  readonly reportedAt?: string;
  /** Addresses in use on the host: of segments, and of the shared pool. */
  readonly use: { readonly endpoints: number; readonly pool: number };
}

function readLeaseCount(field: Field): LeaseCount {
  return {
    tenant: field.get('tenant').integer(0, MAX_ID),
    segment: field.get('segment').integer(0, MAX_ID),
    count: field.get('count').integer(1, MAX_ID, 1),
  };
}

function readUnenforced(field: Field): Unenforced {
  const generation = field.get('generation');
  return {
    apiVersion: field.get('apiVersion').string(),
    kind: field.get('kind').string(),
    namespace: field.get('namespace').string(''),
    name: field.get('name').string(),
    uid: field.get('uid').string(),
    ...(generation.absent ? {} : { generation: generation.integer(0, Number.MAX_SAFE_INTEGER) }),
    message: field.get('message').string(''),
  };
}

const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

function parseTimestamp(text: string): Result<string> {
  if (RFC3339.test(text)) return ok(text);
  return err(`must be a time as in RFC 3339, found ${describe(text)}`);
}

/** Reads a condition of meta/v1. */
export function readCondition(field: Field): Condition {
  return {
    type: field.get('type').string(),
    status: field.get('status').oneOf(['True', 'False', 'Unknown']),
    reason: field.get('reason').string(),
    message: field.get('message').string(),
    lastTransitionTime: field.get('lastTransitionTime').parsed(parseTimestamp) ?? '',
  };
}

/** Parses a romana.io/v1 HostReport. */
export function parseHostReport(json: unknown): Parsed<HostReport> {
  return parseObject(json, { apiVersion: 'romana.io/v1', kind: 'HostReport' }, { nulls: 'error' }, (object, meta) => {
    const status = object.get('status');
    const use = status.get('use');
    const reportedAt = status.get('reportedAt');
    const hostId = status.get('hostId');
    const hostUid = status.get('hostUid');
    return {
      meta,
      ...(reportedAt.absent ? {} : { reportedAt: reportedAt.parsed(parseTimestamp) ?? '' }),
      ...(hostId.absent ? {} : { hostId: hostId.integer(0, MAX_ID) }),
      ...(hostUid.absent ? {} : { hostUid: hostUid.string() }),
      leases: status.get('leases').list(readLeaseCount),
      acknowledged: status.get('acknowledged').list((item) => item.string()),
      conditions: status.get('conditions').list(readCondition),
      unenforced: status.get('unenforced').list(readUnenforced),
      use: {
        endpoints: use.get('endpoints').integer(0, MAX_ID, 0),
        pool: use.get('pool').integer(0, MAX_ID, 0),
      },
    };
  });
}
