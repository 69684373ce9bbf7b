import { familyOf, parseAddress } from '../addr/address.ts';
import type { Address } from '../addr/address.ts';
import { DEFAULT_PLANS, decode, encode, formatPlan, parsePlan } from '../addr/plan.ts';
import type { Decoded, Plan } from '../addr/plan.ts';
import { err, ok } from '../lib/result.ts';
import type { Result } from '../lib/result.ts';

const FIELDS = ['host', 'tenant', 'segment', 'endpoint'] as const;
const WHOLE_NUMBER = /^\d{1,10}$/;

/** What a person typed behind `romana ip`, unread: either an address, or the fields of one. */
export interface IpArguments {
  readonly address?: string | undefined;
  /** Plans to use instead of the cluster's or the default ones, at most one a family; see `parsePlan`. */
  readonly plan: readonly string[];
  readonly host?: string | undefined;
  readonly tenant?: string | undefined;
  readonly segment?: string | undefined;
  readonly endpoint?: string | undefined;
  readonly output: 'text' | 'json';
}

/** What a cluster knows of its ids; a name is undefined where an id is nobody's. */
export interface ClusterPlans {
  readonly plans: readonly Plan[];
  hostName(id: number): string | undefined;
  tenantName(id: number): string | undefined;
  segmentName(tenantId: number, segmentId: number): string | undefined;
}

/** What `ipCommand` works with. */
export interface IpDependencies {
  /** The cluster's plans and names; undefined when no cluster answers within a second, an error when the one asked for is not there. */
  clusterPlans(): Promise<Result<ClusterPlans | undefined>>;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

/** An address taken apart, in the order in which JSON prints it. */
interface Reading extends Decoded {
  readonly address: Address;
  readonly family: 4 | 6;
  readonly hostName?: string;
  readonly tenantName?: string;
  readonly segmentName?: string;
}

/**
 * `romana ip`: says what an address means, or makes the address (one line a family) that has the given fields.
 * Resolves to the exit status: 0, or 2 for bad input, which one line on stderr names.
 */
export async function ipCommand(args: IpArguments, deps: IpDependencies): Promise<0 | 2> {
  const given = readPlans(args.plan);
  const asked = given.ok ? readQuestion(args) : given;
  if (!given.ok || !asked.ok) return refuse(deps, asked.ok ? '' : asked.error);
  const answer = await deps.clusterPlans();
  if (!answer.ok) return refuse(deps, answer.error);
  const cluster = answer.value;
  const plans = given.value.length > 0 ? given.value : (cluster?.plans ?? DEFAULT_PLANS);
  const found = asked.value.kind === 'address' ? read(plans, asked.value.address) : make(plans, asked.value.fields);
  if (!found.ok) return refuse(deps, found.error);
  const readings = found.value.map(({ plan, address, decoded }) => {
    const known = cluster?.plans.some((other) => formatPlan(other) === formatPlan(plan)) === true;
    return reading(address, decoded, known ? cluster : undefined);
  });
  const print = args.output === 'json' ? (value: Reading) => JSON.stringify(value) : textOf;
  for (const value of readings) deps.stdout.write(`${print(value)}\n`);
  return 0;
}

interface Found {
  readonly plan: Plan;
  readonly address: Address;
  readonly decoded: Decoded;
}

type Question =
  | { readonly kind: 'address'; readonly address: Address }
  | { readonly kind: 'fields'; readonly fields: Decoded };

function refuse(deps: IpDependencies, reason: string): 2 {
  deps.stderr.write(`romana ip: ${reason}\n`);
  return 2;
}

function readPlans(texts: readonly string[]): Result<readonly Plan[]> {
  const plans: Plan[] = [];
  for (const text of texts) {
    const plan = parsePlan(text);
    if (!plan.ok) return plan;
    const other = plans.find(({ family }) => family === plan.value.family);
    if (other !== undefined) {
      return err(`--plan ${formatPlan(plan.value)}: there is already ${formatPlan(other)} for IPv${other.family}`);
    }
    plans.push(plan.value);
  }
  return ok(plans);
}

function readQuestion(args: IpArguments): Result<Question> {
  const named = FIELDS.filter((field) => args[field] !== undefined);
  if (args.address !== undefined) {
    if (named.length > 0) return err(`--${named[0]} cannot stand beside the address ${JSON.stringify(args.address)}`);
    const address = parseAddress(args.address);
    return address.ok ? ok({ kind: 'address', address: address.value }) : address;
  }
  if (named.length === 0) return err('an address is missing, or --host, --tenant, --segment and --endpoint');
  const fields = { host: 0, tenant: 0, segment: 0, endpoint: 0 };
  for (const field of FIELDS) {
    const text = args[field];
    // Without a segment means the pods without the label, or an address of the shared pool: segment 0 in both.
    if (text === undefined && field === 'segment') continue;
    if (text === undefined) return err(`--${field} is missing beside --${named[0]}`);
    if (!WHOLE_NUMBER.test(text)) return err(`--${field} ${JSON.stringify(text)} is not a whole number from 0`);
    fields[field] = Number(text);
  }
  return ok({ kind: 'fields', fields });
}

function read(plans: readonly Plan[], address: Address): Result<readonly Found[]> {
  for (const plan of plans) {
    const decoded = decode(plan, address);
    if (decoded !== undefined) return ok([{ plan, address, decoded }]);
  }
  return err(`${address} is outside of the address plan (${plans.map(formatPlan).join(', ')})`);
}

function make(plans: readonly Plan[], fields: Decoded): Result<readonly Found[]> {
  const found: Found[] = [];
  for (const plan of plans) {
    const address = encode(plan, fields);
    if (!address.ok) return address;
    const pool = fields.tenant === 0 ? { pool: true as const } : {};
    found.push({ plan, address: address.value, decoded: { ...fields, ...pool } });
  }
  return ok(found);
}

function reading(address: Address, decoded: Decoded, cluster: ClusterPlans | undefined): Reading {
  const { host, tenant, segment, endpoint, pool } = decoded;
  const hostName = cluster?.hostName(host);
  const tenantName = pool === true ? undefined : cluster?.tenantName(tenant);
  const segmentName = pool === true || segment === 0 ? undefined : cluster?.segmentName(tenant, segment);
  return {
    address,
    family: familyOf(address),
    host,
    tenant,
    segment,
    endpoint,
    ...(pool === true ? { pool } : {}),
    ...(hostName === undefined ? {} : { hostName }),
    ...(tenantName === undefined ? {} : { tenantName }),
    ...(segmentName === undefined ? {} : { segmentName }),
  };
}

function textOf(value: Reading): string {
  const pool = value.pool === true;
  const noLabel = pool ? '' : '- (pods without the segment label)';
  const rows: readonly [field: string, id: number, meaning: string][] = [
    ['host', value.host, value.hostName ?? ''],
    [
      'tenant',
      value.tenant,
      pool ? 'shared pool: the address alone does not say whose it is' : (value.tenantName ?? ''),
    ],
    [
      'segment',
      value.segment,
      value.segment === 0 ? noLabel : value.segmentName === '' ? '""' : (value.segmentName ?? ''),
    ],
    ['endpoint', value.endpoint, ''],
  ];
  const lines = rows.map(([field, id, meaning]) => `  ${field.padEnd(9)} ${String(id).padEnd(6)} ${meaning}`.trimEnd());
  return [value.address, ...lines].join('\n');
}
