import { familyOf } from '../addr/address.ts';
import type { Cidr } from '../addr/cidr.ts';
import type { Labels } from '../objects/meta.ts';
import type { ContainerPort } from '../objects/pod.ts';
import { AddressRegions } from './address-regions.ts';
import type { Endpoint } from './cluster.ts';
import type { Peer, Policy, Rule } from './model.ts';
import { addressesOf } from './party.ts';

/** Endpoints of which no policy of the world can tell one from another, but by whether a host is a pod's own. */
export interface EndpointClass {
  /** One of them. */
  readonly party: Endpoint['party'];
  readonly ports: readonly ContainerPort[];
  /** Where its addresses are, in the order in which it has them. */
  readonly regions: readonly { readonly family: 4 | 6; readonly region: number }[];
}

/** Endpoints by class. */
export interface EndpointClasses {
  readonly classes: readonly EndpointClass[];
  /** The class of each endpoint. */
  readonly classOf: readonly number[];
  readonly regions: AddressRegions;
}

/** What policies look at. */
interface Looks {
  readonly podLabels: readonly string[];
  readonly nodeLabels: readonly string[];
  readonly cidrs: readonly Cidr[];
  readonly portNames: boolean;
}

function peersOf(rules: readonly Rule[]): readonly Peer[] {
  return rules.flatMap(({ peers }) => (peers === 'any' ? [] : peers));
}

function looksOf(policies: readonly Policy[]): Looks {
  const podLabels = new Set<string>();
  const nodeLabels = new Set<string>();
  const cidrs = new Set<Cidr>();
  let portNames = false;
  for (const { subject, ingress, egress } of policies) {
    for (const { key } of subject.pods.requirements) podLabels.add(key);
    const rules = [...ingress, ...egress];
    portNames ||= rules.some(
      ({ ports }) => ports !== 'any' && ports.some((p) => p.ports !== 'any' && 'name' in p.ports),
    );
    for (const peer of peersOf(rules)) {
      if (peer.kind === 'pods') for (const { key } of peer.selection.pods.requirements) podLabels.add(key);
      else if (peer.kind === 'nodes') for (const { key } of peer.selector.requirements) nodeLabels.add(key);
      else for (const { cidr, except } of peer.blocks) for (const one of [cidr, ...except]) cidrs.add(one);
    }
  }
  return { podLabels: [...podLabels], nodeLabels: [...nodeLabels], cidrs: [...cidrs], portNames };
}

function labelsKey(labels: Labels, keys: readonly string[]): string {
  let text = '';
  for (const key of keys) {
    const value = labels.get(key);
    text += value === undefined ? ' -' : ` =${value}`;
  }
  return text;
}

function whoIs(party: Endpoint['party'], { podLabels, nodeLabels }: Looks): string {
  if (party.kind === 'outside') return '';
  if (party.kind === 'host') return labelsKey(party.labels, nodeLabels);
  return `${party.namespace}${labelsKey(party.labels, podLabels)}`;
}

/** The CIDRs of `policies`, those that are excepted too, each once. */
export function cidrsOf(policies: readonly Policy[]): readonly Cidr[] {
  return looksOf(policies).cidrs;
}

/** Puts endpoints into classes; `named` says that a port may be asked for by its name. */
export function classify(policies: readonly Policy[], endpoints: readonly Endpoint[], named: boolean): EndpointClasses {
  const looks = looksOf(policies);
  const regions = new AddressRegions(looks.cidrs);
  const numbers = new Map<string, number>();
  const classes: EndpointClass[] = [];
  const classOf = endpoints.map(({ party, ports }) => {
    const at = addressesOf(party).map((address) => ({ family: familyOf(address), region: regions.of(address) }));
    const who = whoIs(party, looks);
    const where = at.map(({ family, region }) => `${family}:${region}`).join(' ');
    const names = named || looks.portNames ? ports.map((p) => `${p.name}/${p.protocol}/${p.port}`).join(' ') : '';
    const key = `${party.kind} ${who}|${where}|${names}`;
    const before = numbers.get(key);
    if (before !== undefined) return before;
    numbers.set(key, classes.length);
    classes.push({ party, ports, regions: at });
    return classes.length - 1;
  });
  return { classes, classOf, regions };
}
