import { parseAddress, type Address } from '../addr/address.ts';
import { parseCidr, type Cidr } from '../addr/cidr.ts';
import type { Field } from './field.ts';
import { parseObject, type Labels, type Meta, type Parsed } from './meta.ts';

/** The largest id of a host, tenant or segment, in every family: what an int32 of the API holds. */
export const MAX_ID = 2 ** 31 - 1;

/** A running pod whose labels say another segment than its address does. */
export interface Exception {
  readonly namespace: string;
  readonly pod: string;
  /** Of the Pod. */
  readonly uid: string;
  readonly addresses: readonly Address[];
  /** Its labels as they are now, all of them. */
  readonly labels: Labels;
}

/** A host: a Node that has its id and its ranges. */
export interface Host {
  readonly meta: Meta;
  /** 0 to MAX_ID. */
  readonly id: number;
  /** One a family: where all its pods' addresses are. */
  readonly ranges: readonly Cidr[];
  /** The Node's own. */
  readonly addresses: readonly Address[];
  /** The Node's labels. */
  readonly labels: Labels;
  /** By the host's own agent. What is outside the host's ranges is for the reader to ignore. */
  readonly exceptions: readonly Exception[];
}

function readException(field: Field): Exception {
  return {
    namespace: field.get('namespace').string(),
    pod: field.get('pod').string(),
    uid: field.get('uid').string(),
    addresses: field.get('addresses').list((item) => item.parsed(parseAddress)),
    labels: field.get('labels').strings(),
  };
}

/** Parses a romana.io/v1 Host. */
export function parseHost(json: unknown): Parsed<Host> {
  return parseObject(json, { apiVersion: 'romana.io/v1', kind: 'Host' }, { nulls: 'error' }, (object, meta) => {
    const spec = object.get('spec').required();
    return {
      meta,
      id: spec.get('id').integer(0, MAX_ID),
      ranges: spec
        .get('ranges')
        .required()
        .list((item) => item.parsed(parseCidr)),
      addresses: spec.get('addresses').list((item) => item.parsed(parseAddress)),
      labels: spec.get('labels').strings(),
      exceptions: object.get('status').get('exceptions').list(readException),
    };
  });
}
