import { parseAddress, type Address } from '../addr/address.ts';
import { parseCidr, type Cidr } from '../addr/cidr.ts';
import { unwrap } from '../lib/result.ts';
import { parseDemoPolicy } from '../objects/demo-policy.ts';
import { parseNamespace, type Namespace } from '../objects/namespace.ts';
import { EVERYTHING, parseSelectorText, type LabelSelector } from '../objects/selector.ts';
import type { World } from './evaluate.ts';
import { demoPolicy } from './from-demo.ts';
import type { PodSelection, Policy } from './model.ts';
import type { PodParty } from './party.ts';

/** Short ways to make worlds for tests of policy: every text in them is the test's own, so faults are thrown. */
export function address(text: string): Address {
  return unwrap(parseAddress(text));
}

/** A CIDR from its text. */
export function cidr(text: string): Cidr {
  return unwrap(parseCidr(text));
}

/** A selector from its text; '' selects everything. */
export function selector(text: string): LabelSelector {
  return text === '' ? EVERYTHING : unwrap(parseSelectorText(text));
}

/** A namespace, isolated or not, with these labels beside that of its name. */
export function namespace(name: string, isolated = false, labels: Record<string, string> = {}): Namespace {
  const annotations = { 'net.alpha.kubernetes.io/network-isolation': isolated ? 'on' : 'off' };
  return unwrap(parseNamespace({ metadata: { name, labels, annotations } }));
}

/** A pod `ns/name`, of which everything is known. */
export function pod(path: string, labels: Record<string, string> = {}, more: Partial<PodParty> = {}): PodParty {
  const [namespaceName = '', name = ''] = path.split('/');
  const known = new Map(Object.entries(labels));
  const base = { kind: 'pod', namespace: namespaceName, name, node: 'minion1', labels: known, known: 'all' } as const;
  return { ...base, addresses: [], ports: [], ...more };
}

/** Pods of namespaces by name. */
export function podsIn(names: readonly string[], labels = ''): PodSelection {
  return { namespaces: { kind: 'names', names }, pods: selector(labels) };
}

/** Pods of namespaces by label. */
export function podsWhere(namespaces: string, labels = ''): PodSelection {
  return { namespaces: { kind: 'selector', selector: selector(namespaces) }, pods: selector(labels) };
}

/** A demo policy `ns/name`. */
export function demo(path: string, podSelector: object, allowIncoming?: object): Policy {
  const [namespaceName, name] = path.split('/');
  const metadata = { namespace: namespaceName, name, uid: `uid-of-${path}` };
  const spec = { podSelector, ...(allowIncoming === undefined ? {} : { allowIncoming }) };
  const json = { apiVersion: 'demo.romana.io/v1', kind: 'NetworkPolicy', metadata, spec };
  return demoPolicy(unwrap(parseDemoPolicy(json)));
}

/** A policy of any source; isolates nothing and says nothing unless `more` does. */
export function policy(source: Policy['source'], path: string, more: Partial<Policy>): Policy {
  const [first = '', second] = path.split('/');
  const [namespaceName, name] = second === undefined ? ['', first] : [first, second];
  const kind = source === 'demo' || source === 'v1' ? 'NetworkPolicy' : 'ClusterNetworkPolicy';
  const subject = namespaceName === '' ? podsWhere('') : podsIn([namespaceName]);
  const base = { source, ref: { kind, namespace: namespaceName, name, uid: path }, priority: 0, subject };
  return { ...base, isolates: { ingress: false, egress: false }, ingress: [], egress: [], problems: [], ...more };
}

/** A world in which the segment label is `segment`. */
export function world(namespaces: readonly Namespace[], policies: readonly Policy[] = []): World {
  return { segmentLabel: 'segment', namespaces: new Map(namespaces.map((n) => [n.meta.name, n])), policies };
}
