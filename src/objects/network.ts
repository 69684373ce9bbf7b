import { parseCidr, type Cidr } from '../addr/cidr.ts';
import { DEFAULT_PLANS, formatPlan, makePlan, parsePlan, type Plan } from '../addr/plan.ts';
import { ok } from '../lib/result.ts';
import { Field, type JsonObject } from './field.ts';
import { labelKeyFault } from './label-syntax.ts';
import { parseObject, type Meta, type Parsed } from './meta.ts';

/** The largest MTU that a link can have: the largest IPv4 packet (RFC 791). */
const MAX_MTU_BYTES = 65_535;

/** The Network: what is the same on all hosts. A cluster has one, `default`. */
export interface Network {
  readonly meta: Meta;
  /** One or two, one a family. */
  readonly plans: readonly Plan[];
  /** The pods' label whose value is their segment. */
  readonly segmentLabel: string;
  /** Addresses that are others' (services, nodes); host ids whose ranges overlap them are not given out. */
  readonly reservedCIDRs: readonly Cidr[];
  /** Bytes; 0: found out from the underlay. */
  readonly mtu: number;
  readonly masquerade: {
    readonly enabled: boolean;
    /** Destinations that see pods' own addresses, beside pods and nodes. */
    readonly excludeCIDRs: readonly Cidr[];
  };
  /** What hosts have addresses by; absent while there is none. */
  readonly held?: Held;
  /** Names of releases of ids (objects/release.ts) that every agent is asked to acknowledge. */
  readonly releases: readonly string[];
}

/** What cannot change while there are hosts, since their pods have addresses by it. */
export interface Held {
  readonly plans: readonly Plan[];
  readonly segmentLabel: string;
}

function readPlan(field: Field): Plan | undefined {
  const before = field.errors.length;
  const bits = (name: string): number => field.get(name).integer(1, 125);
  const given = {
    cidr: field.get('cidr').string(),
    hostBits: bits('hostBits'),
    tenantBits: bits('tenantBits'),
    segmentBits: bits('segmentBits'),
    endpointBits: bits('endpointBits'),
  };
  if (field.errors.length > before) return undefined;
  const plan = makePlan(given);
  if (plan.ok) return plan.value;
  field.fail(plan.error);
  return undefined;
}

function readPlans(field: Field): readonly Plan[] {
  if (field.absent) return DEFAULT_PLANS;
  const items = field.items();
  const plans = field.list(readPlan);
  if (Array.isArray(field.value) && items.length === 0) field.fail('must have at least one plan');
  if (new Set(plans.map((plan) => plan.family)).size < plans.length) field.fail('must have at most one plan a family');
  return plans;
}

function readSegmentLabel(field: Field): string {
  const label = field.string('segment');
  const fault = labelKeyFault(label);
  if (fault !== undefined) field.fail(fault);
  return label;
}

function readCidrs(field: Field): readonly Cidr[] {
  return field.list((item) => item.parsed(parseCidr));
}

/** What nobody but a controller writes, and what is not as it writes it is as if it were not there. */
function readHeld(status: Field): Pick<Network, 'held'> {
  const held = Field.root(status.get('held').value);
  if (held.absent) return {};
  const plans = held.get('plans').list((item) => item.parsed(parsePlan));
  const segmentLabel = held.get('segmentLabel').string();
  return held.errors.length > 0 || plans.length === 0 ? {} : { held: { plans, segmentLabel } };
}

/** Parses a romana.io/v1 Network. What is missing has the default that deploy/crds gives it. */
export function parseNetwork(json: unknown): Parsed<Network> {
  return parseObject(json, { apiVersion: 'romana.io/v1', kind: 'Network' }, { nulls: 'error' }, (object, meta) => {
    const spec = object.get('spec').required();
    const masquerade = spec.get('masquerade');
    return {
      meta,
      plans: readPlans(spec.get('plans')),
      segmentLabel: readSegmentLabel(spec.get('segmentLabel')),
      reservedCIDRs: readCidrs(spec.get('reservedCIDRs')),
      mtu: spec.get('mtu').integer(0, MAX_MTU_BYTES, 0),
      masquerade: {
        enabled: masquerade.get('enabled').boolean(true),
        excludeCIDRs: readCidrs(masquerade.get('excludeCIDRs')),
      },
      ...readHeld(object.get('status')),
      releases: object
        .get('status')
        .get('releases')
        .list((item) => item.string()),
    };
  });
}

/** Parses a Network as it is in force: what hosts hold stays, whatever its spec has been changed to. */
export function parseNetworkInForce(json: unknown): Parsed<Network> {
  const parsed = parseNetwork(json);
  return parsed.ok ? ok(inForce(parsed.value)) : parsed;
}

/** The Network with what hosts hold. */
export function inForce(network: Network): Network {
  return network.held === undefined ? network : { ...network, ...network.held };
}

/** Whether the Network asks for something else than hosts hold. */
export function asksForOther({ plans, segmentLabel }: Held, held: Held): boolean {
  return segmentLabel !== held.segmentLabel || plansText(plans) !== plansText(held.plans);
}

/** The plans as one text, whatever their order. */
export function plansText(plans: readonly Plan[]): string {
  return plans.map(formatPlan).sort().join(' and ');
}

/** The Network as an object for the API, everything in spec spelled out; of its metadata only the name. */
export function networkToJson(network: Network): JsonObject {
  return {
    apiVersion: 'romana.io/v1',
    kind: 'Network',
    metadata: { name: network.meta.name },
    spec: {
      plans: network.plans.map(({ cidr, hostBits, tenantBits, segmentBits, endpointBits }) => ({
        cidr,
        hostBits,
        tenantBits,
        segmentBits,
        endpointBits,
      })),
      segmentLabel: network.segmentLabel,
      reservedCIDRs: network.reservedCIDRs,
      mtu: network.mtu,
      masquerade: network.masquerade,
    },
  };
}
