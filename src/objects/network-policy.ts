import type { Cidr } from '../addr/cidr.ts';
import { err, ok } from '../lib/result.ts';
import { isStrictlyInside, readCidr } from './cidr-block.ts';
import { describe, Field, isJsonObject } from './field.ts';
import { readMeta, type Meta, type Parsed } from './meta.ts';
import {
  faultsOf,
  invalidValue,
  SELECTOR_SHAPE,
  unknownFields,
  unsupportedValue,
  type Faulty,
  type PolicyFault,
  type Shape,
} from './policy-fault.ts';
import { portNameFault } from './port-name.ts';
import type { Protocol } from './protocol.ts';
import { EVERYTHING, readLabelSelector, type LabelSelector } from './selector.ts';

/** A port that a rule allows: one, those from `port` to `endPort`, or all of the protocol. */
export interface NetworkPolicyPort {
  readonly protocol: Protocol;
  /** 1 to 65535, or the name of a container port of the destination; missing: all of them. */
  readonly port?: number | string;
  /** Not less than `port`, which is a number beside it. */
  readonly endPort?: number;
}

/** Somebody whom a rule allows: pods, or addresses. */
export type NetworkPolicyPeer =
  | {
      /** Missing: all pods of the selected namespaces. */
      readonly podSelector?: LabelSelector;
      /** Missing: the policy's own namespace. */
      readonly namespaceSelector?: LabelSelector;
    }
  | { readonly ipBlock: { readonly cidr: Cidr; readonly except: readonly Cidr[] } };

/** What one rule allows: all of these ports to all of these peers. */
export interface NetworkPolicyRule {
  /** Empty: all ports of all protocols. */
  readonly ports: readonly NetworkPolicyPort[];
  /** Empty: everybody. */
  readonly peers: readonly NetworkPolicyPeer[];
}

/** A networking.k8s.io/v1 NetworkPolicy with its defaults. */
export interface NetworkPolicy extends Faulty {
  readonly meta: Meta;
  readonly podSelector: LabelSelector;
  /** spec.policyTypes: the directions in which it isolates the pods that it selects. */
  readonly isolates: { readonly ingress: boolean; readonly egress: boolean };
  /** One for each of spec.ingress and spec.egress, in their order; what has a fault is left out of them. */
  readonly ingress: readonly NetworkPolicyRule[];
  readonly egress: readonly NetworkPolicyRule[];
}

const PROTOCOLS: readonly Protocol[] = ['TCP', 'UDP', 'SCTP'];
const TYPES = ['Ingress', 'Egress'] as const;

const PORTS: Shape = [{ protocol: true, port: true, endPort: true }];
const PEERS: Shape = [
  { podSelector: SELECTOR_SHAPE, namespaceSelector: SELECTOR_SHAPE, ipBlock: { cidr: true, except: true } },
];
const SHAPE: Shape = {
  apiVersion: true,
  kind: true,
  metadata: true,
  spec: {
    podSelector: SELECTOR_SHAPE,
    policyTypes: true,
    ingress: [{ from: PEERS, ports: PORTS }],
    egress: [{ to: PEERS, ports: PORTS }],
  },
  status: true, // served in 1.24 to 1.27, with conditions alone
};

/** Collects what the API server refuses only in new objects. */
type Legacy = PolicyFault[];

function readPortNumber(field: Field): number {
  const { value } = field;
  if (typeof value !== 'number' || !Number.isInteger(value)) {
    field.fail(`must be a whole number, found ${describe(value)}`);
  } else if (value < 1 || value > 65_535) {
    field.fail(invalidValue(value, 'must be between 1 and 65535, inclusive'));
  }
  return Number(value);
}

function readPort(field: Field): NetworkPolicyPort {
  const protocolField = field.get('protocol');
  const protocol = PROTOCOLS.find((known) => known === (protocolField.value ?? 'TCP'));
  if (protocol === undefined) protocolField.fail(unsupportedValue(protocolField.value, PROTOCOLS));
  const portField = field.get('port');
  const endField = field.get('endPort');
  const base = { protocol: protocol ?? 'TCP' };
  if (portField.absent) {
    if (!endField.absent)
      endField.fail(invalidValue(endField.value, 'may not be specified when `port` is not specified'));
    return base;
  }
  if (typeof portField.value === 'string') {
    const fault = portNameFault(portField.value);
    if (fault !== undefined) portField.fail(invalidValue(portField.value, fault));
    if (!endField.absent)
      endField.fail(invalidValue(endField.value, 'may not be specified when `port` is non-numeric'));
    return { ...base, port: portField.value };
  }
  const port = readPortNumber(portField);
  if (endField.absent) return { ...base, port };
  const endPort = readPortNumber(endField);
  if (endPort < port) endField.fail(invalidValue(endPort, 'must be greater than or equal to `port`'));
  return { ...base, port, endPort };
}

/** A CIDR at `field`; undefined after a fault, but for one that only new objects may not have. */
function readCidrField(field: Field, legacy: Legacy): Cidr | undefined {
  if (field.absent || field.value === '') {
    field.fail('Required value');
    return undefined;
  }
  const text = field.string();
  if (text === '') return undefined;
  const { cidr, fault } = readCidr(text);
  if (fault === undefined) return cidr;
  if (cidr === undefined) field.fail(invalidValue(text, fault));
  else legacy.push({ field: field.path, message: invalidValue(text, fault), kind: 'legacy' });
  return cidr;
}

function readBlock(field: Field, legacy: Legacy): NetworkPolicyPeer | undefined {
  const cidr = readCidrField(field.get('cidr'), legacy);
  if (cidr === undefined) return undefined;
  const except = field.get('except').list((item) => {
    const hole = readCidrField(item, legacy);
    if (hole === undefined || isStrictlyInside(hole, cidr)) return hole;
    item.fail(invalidValue(item.value, 'must be a strict subset of `cidr`'));
    return undefined;
  });
  return { ipBlock: { cidr, except } };
}

function readPeer(field: Field, legacy: Legacy): NetworkPolicyPeer | undefined {
  const [pods, namespaces, block] = [field.get('podSelector'), field.get('namespaceSelector'), field.get('ipBlock')];
  if (!block.absent) {
    if (pods.absent && namespaces.absent) return readBlock(block, legacy);
    field.fail('Forbidden: may not specify both ipBlock and another peer');
    return undefined;
  }
  if (pods.absent && namespaces.absent) {
    // Of a peer that is not known the unknown field says all there is to say.
    if (!isJsonObject(field.value) || Object.keys(field.value).length === 0)
      field.fail('Required value: must specify a peer');
    return undefined;
  }
  return {
    ...(pods.absent ? {} : { podSelector: readLabelSelector(pods) }),
    ...(namespaces.absent ? {} : { namespaceSelector: readLabelSelector(namespaces) }),
  };
}

function readRules(field: Field, peers: 'from' | 'to', legacy: Legacy): readonly NetworkPolicyRule[] {
  return field.list((rule) => ({
    ports: rule.get('ports').list(readPort),
    peers: rule.get(peers).list((peer) => readPeer(peer, legacy)),
  }));
}

/** spec.policyTypes with its default: ingress, and egress where there are egress rules. */
function readTypes(spec: Field): NetworkPolicy['isolates'] {
  const field = spec.get('policyTypes');
  const items = field.items();
  if (items.length > TYPES.length) {
    field.fail(`Invalid value: ${JSON.stringify(field.value)}: may not specify more than two policyTypes`);
  }
  for (const item of items) {
    if (!TYPES.some((type) => type === item.value)) item.fail(unsupportedValue(item.value, TYPES));
  }
  const types = items.map((item) => item.value);
  if (types.length > 0) return { ingress: types.includes('Ingress'), egress: types.includes('Egress') };
  return { ingress: true, egress: spec.get('egress').items().length > 0 };
}

/**
 * Parses a networking.k8s.io/v1 NetworkPolicy with the API server's defaults. Only what can't be told whose it is, is
 * no policy; everything else that is wrong stands in `faults`, in the API server's words (`refuseInvalid`).
 */
export function parseNetworkPolicy(json: unknown): Parsed<NetworkPolicy> {
  if (!isJsonObject(json)) {
    return err([{ field: '', message: `a NetworkPolicy must be an object, found ${describe(json)}` }]);
  }
  const object = Field.root(json);
  object.get('apiVersion').oneOf(['networking.k8s.io/v1'], 'networking.k8s.io/v1');
  object.get('kind').oneOf(['NetworkPolicy'], 'NetworkPolicy');
  const meta = readMeta(object);
  if (object.errors.length > 0) return err(object.errors);
  const spec = object.get('spec');
  const legacy: PolicyFault[] = [];
  const selector = spec.get('podSelector');
  const policy = {
    meta,
    podSelector: selector.absent ? EVERYTHING : readLabelSelector(selector),
    isolates: readTypes(spec),
    ingress: readRules(spec.get('ingress'), 'from', legacy),
    egress: readRules(spec.get('egress'), 'to', legacy),
  };
  return ok({ ...policy, faults: [...faultsOf('invalid', object.errors), ...legacy, ...unknownFields(json, SHAPE)] });
}
