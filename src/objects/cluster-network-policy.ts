import type { Cidr } from '../addr/cidr.ts';
import { err, ok } from '../lib/result.ts';
import { readCidr } from './cidr-block.ts';
import { describe, Field, isJsonObject, type FieldError } from './field.ts';
import { readMeta, type Meta, type Parsed } from './meta.ts';
import { faultsOf, SELECTOR_SHAPE, unknownFields, type Faulty, type PolicyFault, type Shape } from './policy-fault.ts';
import type { Protocol } from './protocol.ts';
import { SchemaReader } from './schema-reader.ts';
import { EVERYTHING, readLabelSelector, type LabelSelector } from './selector.ts';

/** Pods by the labels of their namespaces and their own. */
export interface ClusterPods {
  readonly namespaces: LabelSelector;
  readonly pods: LabelSelector;
}

/** Whom a rule is about. */
export type ClusterPeer =
  | ({ readonly kind: 'pods' } & ClusterPods)
  | { readonly kind: 'nodes'; readonly selector: LabelSelector }
  | { readonly kind: 'networks'; readonly cidrs: readonly Cidr[] }
  /** Exact names, and `*.` before a name for all below it. Nobody enforces them here. */
  | { readonly kind: 'domainNames'; readonly names: readonly string[] };

/** Ports of the destination, from 1 to 65535, both inclusive; or its container ports of a name, of any protocol. */
export type ClusterPort =
  | { readonly protocol: Protocol; readonly from: number; readonly to: number }
  | { readonly name: string };

/** What a rule does with what it matches. */
export type ClusterAction = 'Accept' | 'Deny' | 'Pass';

/** One rule in one direction. */
export interface ClusterRule {
  /** '' where it has none. */
  readonly name: string;
  /** Undefined: one that is not known. */
  readonly action: ClusterAction | undefined;
  readonly peers: readonly ClusterPeer[];
  /** Missing: everything, ICMP too. */
  readonly ports?: readonly ClusterPort[];
}

/** A policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy. */
export interface ClusterNetworkPolicy extends Faulty {
  readonly meta: Meta;
  /** Grows with each change of the spec; 0 where the object does not say. */
  readonly generation: number;
  readonly tier: 'Admin' | 'Baseline';
  /** 0 to 1000, lowest first. */
  readonly priority: number;
  readonly subject: ClusterPods;
  /** One for each of spec.ingress and spec.egress, in their order; what has a fault is left out of them. */
  readonly ingress: readonly ClusterRule[];
  readonly egress: readonly ClusterRule[];
}

const API_VERSION = 'policy.networking.k8s.io/v1alpha2';
const MAX_ITEMS = 25;
const MAX_PRIORITY = 1000;
const MAX_NAME = 100;
const MAX_CIDR = 43;
const MAX_PORT = 65_535;
const DOMAIN_NAME =
  '^(\\*\\.)?([a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\\.)+[a-zA-z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\\.?$';
const NAMED_PORT_OF_NOBODY =
  'networks/nodes/domainNames peer cannot be set with namedPorts since there are no namedPorts for networks/nodes/domainNames';

const PODS: Shape = { namespaceSelector: SELECTOR_SHAPE, podSelector: SELECTOR_SHAPE };
const PORT: Shape = { destinationPort: { number: true, range: { start: true, end: true } } };
const RULE = {
  name: true,
  action: true,
  protocols: [{ tcp: PORT, udp: PORT, sctp: PORT, destinationNamedPort: true }],
} as const;
const INGRESS_PEER = { namespaces: SELECTOR_SHAPE, pods: PODS } as const;
const EGRESS_PEER = { ...INGRESS_PEER, nodes: SELECTOR_SHAPE, networks: true, domainNames: true } as const;
const SHAPE: Shape = {
  apiVersion: true,
  kind: true,
  metadata: true,
  spec: {
    tier: true,
    priority: true,
    subject: { namespaces: SELECTOR_SHAPE, pods: PODS },
    ingress: [{ ...RULE, from: [INGRESS_PEER] }],
    egress: [{ ...RULE, to: [EGRESS_PEER] }],
  },
  status: true,
};

/** Reads one object. The schema of the CustomResourceDefinition decides what is refused, the reader what is closed. */
class Reader extends SchemaReader {
  readonly unknown: PolicyFault[] = [];

  rules(field: Field, peers: 'from' | 'to'): readonly ClusterRule[] {
    if (field.absent) return [];
    return this.items(field, { max: MAX_ITEMS }).map((rule) => this.#rule(rule, peers));
  }

  /** Pods of `namespaces` or of `pods` at `field`; everything where that can't be told. */
  subject(field: Field): ClusterPods {
    this.oneOf(field, 'namespaces', 'pods');
    const found = this.#pods(field);
    return found ?? { namespaces: EVERYTHING, pods: EVERYTHING };
  }

  /** A fault of what the API server takes all the same. */
  #close(errors: readonly FieldError[]): void {
    this.unknown.push(...faultsOf('unknown', errors));
  }

  /** The schema wants a key and an operator; whether they make a selector nobody looks at before we do. */
  #selector(field: Field): LabelSelector {
    if (!this.object(field)) return EVERYTHING;
    const labels = field.get('matchLabels');
    if (!labels.absent && this.object(labels)) {
      for (const key of Object.keys(labels.value as object)) this.text(labels.get(key));
    }
    for (const item of this.items(field.get('matchExpressions'))) {
      for (const name of ['key', 'operator']) this.text(item.get(name));
      for (const value of this.items(item.get('values'))) this.text(value);
    }
    const aside = Field.root(field.value, { nulls: 'absent' }, field.path);
    const selector = readLabelSelector(aside);
    if (!field.errors.some((error) => error.field.startsWith(field.path))) this.#close(aside.errors);
    return selector;
  }

  #pods(field: Field): ClusterPods | undefined {
    const [namespaces, pods] = [field.get('namespaces'), field.get('pods')];
    if (!namespaces.absent) return { namespaces: this.#selector(namespaces), pods: EVERYTHING };
    if (pods.absent) return undefined;
    const [outer, inner] = [pods.get('namespaceSelector'), pods.get('podSelector')];
    if (inner.absent) inner.fail('Required value');
    return {
      namespaces: outer.absent ? EVERYTHING : this.#selector(outer),
      pods: inner.absent ? EVERYTHING : this.#selector(inner),
    };
  }

  #rule(field: Field, peersName: 'from' | 'to'): ClusterRule {
    this.object(field);
    const nameField = field.get('name');
    const action = this.choice(field.get('action'), ['Accept', 'Deny', 'Pass']);
    const peers = this.items(field.get(peersName), { min: 1, max: MAX_ITEMS, required: true }).flatMap(
      (peer) => this.#peer(peer, peersName) ?? [],
    );
    const protocols = field.get('protocols');
    const ports = protocols.absent
      ? undefined
      : this.items(protocols, { min: 1, max: MAX_ITEMS }).flatMap((protocol) => this.#port(protocol) ?? []);
    const nameless = peers.some(({ kind }) => kind !== 'pods');
    if (nameless && ports?.some((port) => 'name' in port) === true)
      field.fail(`Invalid value: ${NAMED_PORT_OF_NOBODY}`);
    const name = nameField.absent ? '' : this.text(nameField, { maxLength: MAX_NAME });
    return { name, action, peers, ...(ports === undefined ? {} : { ports }) };
  }

  #peer(field: Field, direction: 'from' | 'to'): ClusterPeer | undefined {
    this.oneOf(field, ...Object.keys(direction === 'from' ? INGRESS_PEER : EGRESS_PEER));
    const pods = this.#pods(field);
    if (pods !== undefined) return { kind: 'pods', ...pods };
    if (direction === 'from') return undefined;
    const [nodes, networks, names] = [field.get('nodes'), field.get('networks'), field.get('domainNames')];
    if (!nodes.absent) return { kind: 'nodes', selector: this.#selector(nodes) };
    if (!networks.absent) return { kind: 'networks', cidrs: this.#networks(networks) };
    return names.absent ? undefined : { kind: 'domainNames', names: this.#domainNames(names) };
  }

  #networks(field: Field): readonly Cidr[] {
    const items = this.items(field, { min: 1, max: MAX_ITEMS, distinct: true });
    return items.flatMap((item) => {
      const text = this.text(item, { maxLength: MAX_CIDR });
      const { cidr, fault } = readCidr(text);
      // The schema's isCIDR() takes bits behind the prefix, and nothing else that is not canonical.
      if (cidr !== undefined && (fault === undefined || !fault.includes('leading 0s'))) return [cidr];
      item.fail(`Invalid value: ${describe(text)}: Invalid CIDR format provided`);
      return [];
    });
  }

  #domainNames(field: Field): readonly string[] {
    const items = this.items(field, { min: 1, max: MAX_ITEMS, distinct: true });
    this.#close([{ field: field.path, message: 'domain names are not enforced' }]);
    return items.map((item) => this.text(item, { pattern: DOMAIN_NAME }));
  }

  #port(field: Field): ClusterPort | undefined {
    this.oneOf(field, 'tcp', 'udp', 'sctp', 'destinationNamedPort');
    const named = field.get('destinationNamedPort');
    if (!named.absent) {
      const name = this.text(named);
      // Container ports without a name are many; the schema lets this stand.
      if (name === '') this.#close([{ field: named.path, message: 'is empty: no container port has such a name' }]);
      return { name };
    }
    for (const protocol of ['TCP', 'UDP', 'SCTP'] as const) {
      const at = field.get(protocol.toLowerCase());
      if (at.absent) continue;
      this.oneOf(at, 'destinationPort');
      const port = at.get('destinationPort');
      return port.absent ? undefined : this.#range(port, protocol);
    }
    return undefined;
  }

  #range(field: Field, protocol: Protocol): ClusterPort {
    this.oneOf(field, 'number', 'range');
    const range = field.get('range');
    if (range.absent) {
      const numberField = field.get('number');
      const number = numberField.absent ? 1 : this.integer(numberField, 1, MAX_PORT);
      return { protocol, from: number, to: number };
    }
    this.object(range);
    const before = range.errors.length;
    const to = this.integer(range.get('end'), 1, MAX_PORT);
    const from = this.integer(range.get('start'), 1, MAX_PORT);
    if (from >= to && range.errors.length === before)
      range.fail('Invalid value: Start port must be less than End port');
    return { protocol, from, to };
  }
}

/**
 * Parses a policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy. Only what can't be told whose it is, is no policy;
 * everything else that is wrong stands in `faults`, in the API server's words (`refuseInvalid`).
 */
export function parseClusterNetworkPolicy(json: unknown): Parsed<ClusterNetworkPolicy> {
  if (!isJsonObject(json)) {
    return err([{ field: '', message: `a ClusterNetworkPolicy must be an object, found ${describe(json)}` }]);
  }
  // Nulls of fields that may not be null are dropped by the API server.
  const object = Field.root(json, { nulls: 'absent' });
  object.get('apiVersion').oneOf([API_VERSION], API_VERSION);
  object.get('kind').oneOf(['ClusterNetworkPolicy'], 'ClusterNetworkPolicy');
  const meta = readMeta(object);
  const generation = object.get('metadata').get('generation').integer(0, Number.MAX_SAFE_INTEGER, 0);
  if (object.errors.length > 0) return err(object.errors);
  const reader = new Reader();
  const spec = object.get('spec');
  reader.object(spec);
  const policy = {
    meta: { ...meta, namespace: '' },
    generation,
    ingress: reader.rules(spec.get('ingress'), 'from'),
    egress: reader.rules(spec.get('egress'), 'to'),
    priority: reader.integer(spec.get('priority'), 0, MAX_PRIORITY),
    subject: reader.subject(spec.get('subject')),
    // One that is not known is taken for the one that nothing overrides.
    tier: reader.choice(spec.get('tier'), ['Admin', 'Baseline']) ?? ('Admin' as const),
  };
  return ok({
    ...policy,
    faults: [...faultsOf('invalid', object.errors), ...reader.unknown, ...unknownFields(json, SHAPE)],
  });
}
