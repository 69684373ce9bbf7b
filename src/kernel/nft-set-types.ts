import { userData } from './nft-user-data.ts';

/** What libnftables 1.0.6 tells of a type: its number (enum datatypes), its bytes, and the order of those. */
const TYPES: ReadonlyMap<string, { readonly number: number; readonly bytes: number; readonly order: number }> = new Map(
  [
    ['ipv4_addr', { number: 7, bytes: 4, order: 2 }],
    ['ipv6_addr', { number: 8, bytes: 16, order: 2 }],
    ['inet_proto', { number: 12, bytes: 1, order: 0 }],
    ['inet_service', { number: 13, bytes: 2, order: 2 }],
    ['ifname', { number: 41, bytes: 16, order: 1 }],
  ],
);
/** A concatenation's number is those of its fields, so many bits each (TYPE_BITS of nftables). */
const TYPE_BITS = 6;
const REGISTER_BYTES = 4;

// The types of what is in the user data of a set (libnftnl/udata.h).
const KEYBYTEORDER = 0;
const DATABYTEORDER = 1;
const KEY_TYPEOF = 3;
const DATA_INTERVAL = 6;
const COMMENT = 7;
const TYPEOF_EXPR = 0;
const TYPEOF_DATA = 1;
// What expression a key was, and what more there is to say of it (enum expr_types and the expressions of nftables).
const EXPR_PAYLOAD = 7;
const EXPR_META = 9;
const EXPR_CONCAT = 13;
const META_KEY = 0;
const META_L4PROTO = 16;
const PAYLOAD_DESC = 0;
const PAYLOAD_TYPE = 1;
const PROTO_DESC_TH = 11;
const TH_DPORT = 2;
/** The byte order of a set that was made of an expression in a rule. */
const HOST_ORDER = 1;

/** The number and the bytes of keys of these fields. @throws RangeError for a type that is not known here: a bug */
export function typeOf(fields: readonly string[]): { readonly number: number; readonly bytes: number } {
  const types = fields.map(typeNamed);
  const [only] = types;
  if (only !== undefined && types.length === 1) return only;
  return {
    number: types.reduce((number, type) => (number << TYPE_BITS) | type.number, 0),
    bytes: types.reduce((sum, { bytes }) => sum + Math.ceil(bytes / REGISTER_BYTES) * REGISTER_BYTES, 0),
  };
}

/** The user data of a set that has a name: nft lists it by that. */
export function namedData(fields: readonly string[], verdicts: boolean, comment: string | undefined): Buffer {
  const [first = ''] = fields;
  return Buffer.concat([
    number(KEYBYTEORDER, fields.length === 1 ? typeNamed(first).order : 0),
    ...(verdicts ? [number(DATABYTEORDER, 0)] : []),
    ...(fields.length === 1 ? [] : [userData(KEY_TYPEOF, typeofData(EXPR_CONCAT, Buffer.alloc(0)))]),
    ...(verdicts ? [number(DATA_INTERVAL, 0)] : []),
    ...(comment === undefined ? [] : [userData(COMMENT, Buffer.from(`${comment}\0`))]),
  ]);
}

/** The same of a set in braces, of protocols alone or with ports. */
export function anonymousData(fields: readonly string[]): Buffer {
  const protocol = typeofData(EXPR_META, number(META_KEY, META_L4PROTO));
  if (fields.length === 1) return Buffer.concat([number(KEYBYTEORDER, HOST_ORDER), userData(KEY_TYPEOF, protocol)]);
  const port = typeofData(
    EXPR_PAYLOAD,
    Buffer.concat([number(PAYLOAD_DESC, PROTO_DESC_TH), number(PAYLOAD_TYPE, TH_DPORT)]),
  );
  const both = Buffer.concat([userData(0, protocol), userData(1, port)]);
  return Buffer.concat([number(KEYBYTEORDER, 0), userData(KEY_TYPEOF, typeofData(EXPR_CONCAT, both))]);
}

function typeofData(expression: number, data: Buffer): Buffer {
  return Buffer.concat([number(TYPEOF_EXPR, expression), userData(TYPEOF_DATA, data)]);
}

/** In the machine's byte order, as everything in user data. */
function number(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return userData(type, bytes);
}

function typeNamed(name: string): { readonly number: number; readonly bytes: number; readonly order: number } {
  const type = TYPES.get(name);
  if (type === undefined) throw new RangeError(`sets of ${name} are not encoded`);
  return type;
}
