import * as fc from 'fast-check';
import { labels, type PolicySpecs, segment, team, TENANTS, type Tenant, zone } from './random-policies.ts';

/** What can be said of a namespace. */
export interface NamespaceState {
  /** A label. */
  readonly team?: string | undefined;
  /** By which of its two annotations it is isolated, or told not to be. */
  readonly isolation?: 'alpha' | 'beta' | 'off' | undefined;
}

/** A pod, with the segment that its address has. */
export interface PodState {
  readonly namespace: Tenant;
  readonly segment: string | undefined;
  /** As they are now. */
  readonly labels: Readonly<Record<string, string>>;
}

/** All that verdicts depend on. */
export interface WorldState {
  readonly namespaces: Readonly<Record<Tenant, NamespaceState>>;
  /** Of each host, a label of its Node. */
  readonly zones: readonly (string | undefined)[];
  /** By place, which are on the hosts in turn. */
  readonly pods: readonly (PodState | undefined)[];
  /** The spec of each of POLICIES. */
  readonly policies: readonly (object | undefined)[];
  /** Labels of a pod on the first host's network, and of a finished pod that claims the address of the first pod. */
  readonly nobodies: readonly Readonly<Record<string, string>>[];
}

/** One change. */
export type Edit =
  | { readonly pod: number; readonly now: PodState | undefined }
  | { readonly pod: number; readonly labels: Readonly<Record<string, string>> }
  | { readonly namespace: Tenant; readonly now: NamespaceState }
  | { readonly node: number; readonly zone: string | undefined }
  | { readonly policy: number; readonly now: object | undefined }
  | { readonly nobody: number; readonly labels: Readonly<Record<string, string>> };

/** A world, and what becomes of it: all edits of a list come at once. */
export interface RandomWorld {
  readonly start: WorldState;
  readonly edits: readonly (readonly Edit[])[];
}

/** The policies that a world may have: the kind, and the namespace of those that are in one. */
export const POLICIES: readonly { readonly kind: 'v1' | 'demo' | 'cluster'; readonly namespace?: Tenant }[] = [
  { kind: 'v1', namespace: 'red' },
  { kind: 'v1', namespace: 'red' },
  { kind: 'cluster' },
  { kind: 'demo', namespace: 'red' },
  { kind: 'v1', namespace: 'blue' },
  { kind: 'cluster' },
  { kind: 'v1', namespace: 'green' },
  { kind: 'demo', namespace: 'blue' },
  { kind: 'cluster' },
];

/** Where pods mostly are, so that most can stay from one world to the next: making one takes long. */
const HOMES: readonly Pick<PodState, 'namespace' | 'segment'>[] = [
  { namespace: 'red', segment: 'a' },
  { namespace: 'red', segment: 'a' },
  { namespace: 'red', segment: 'b' },
  { namespace: 'red', segment: undefined },
  { namespace: 'blue', segment: 'a' },
  { namespace: 'green', segment: '' },
  { namespace: 'grey', segment: 'b' },
];

const anywhere = fc.record({
  namespace: fc.constantFrom(...TENANTS),
  segment: fc.option(segment, { nil: undefined }),
});

/** Mostly the segment is still the one that the address has. */
function podAt(place: number): fc.Arbitrary<PodState> {
  const home = HOMES[place] ?? { namespace: 'red', segment: undefined };
  const where = fc.oneof({ weight: 12, arbitrary: fc.constant(home) }, { weight: 1, arbitrary: anywhere });
  return fc.tuple(where, labels, fc.nat({ max: 2 })).map(([{ namespace, segment: leased }, its, n]) => {
    return { namespace, segment: leased, labels: n === 2 ? its : inSegment(its, leased) };
  });
}

/** The same labels, but that segment. */
export function inSegment(its: Readonly<Record<string, string>>, value: string | undefined): Record<string, string> {
  const { segment: _, ...others } = its;
  return value === undefined ? others : { ...others, segment: value };
}

const namespaceState: fc.Arbitrary<NamespaceState> = fc.record({
  team: fc.option(team, { nil: undefined }),
  isolation: fc.constantFrom(undefined, undefined, 'alpha' as const, 'beta' as const, 'off' as const),
});
const node = fc.option(zone, { nil: undefined });
const maybe = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(one, { nil: undefined, freq: 2 });

/** A spec of one of POLICIES. */
const specOf = (specs: PolicySpecs, n: number): fc.Arbitrary<object> => specs[POLICIES[n]?.kind ?? 'v1'];

function startOf(specs: PolicySpecs): fc.Arbitrary<WorldState> {
  return fc.record({
    namespaces: fc.record({ red: namespaceState, blue: namespaceState, green: namespaceState, grey: namespaceState }),
    zones: fc.tuple(node, node),
    pods: fc.tuple(...HOMES.map((_, place) => podAt(place))),
    policies: fc.tuple(...POLICIES.map((_, n) => maybe(specOf(specs, n)))),
    nobodies: fc.tuple(labels, labels),
  });
}

const places = HOMES.map((_, place) => place);
const placed = fc.constantFrom(...places).chain((pod) => podAt(pod).map((now) => ({ pod, now })));

function editOf(specs: PolicySpecs): fc.Arbitrary<Edit> {
  const policy = fc
    .nat({ max: POLICIES.length - 1 })
    .chain((n) => fc.option(specOf(specs, n), { nil: undefined, freq: 3 }).map((now) => ({ policy: n, now })));
  return fc.oneof(
    { weight: 4, arbitrary: fc.record({ pod: fc.constantFrom(...places), labels }) },
    { weight: 1, arbitrary: placed },
    { weight: 1, arbitrary: fc.constantFrom(...places).map((pod) => ({ pod, now: undefined })) },
    { weight: 2, arbitrary: fc.record({ namespace: fc.constantFrom(...TENANTS), now: namespaceState }) },
    { weight: 1, arbitrary: fc.record({ node: fc.nat({ max: 1 }), zone: node }) },
    { weight: 4, arbitrary: policy },
    { weight: 1, arbitrary: fc.record({ nobody: fc.nat({ max: 1 }), labels }) },
  );
}

/** Worlds of every kind of policy, with a few edits each. */
export function worldsOf(specs: PolicySpecs): fc.Arbitrary<RandomWorld> {
  const edits = fc.array(editOf(specs), { minLength: 1, maxLength: 3 });
  return fc.record({ start: startOf(specs), edits: fc.array(edits, { minLength: 1, maxLength: 2 }) });
}

function without<T>(list: readonly T[], at: number, now: T): readonly T[] {
  return list.map((each, n) => (n === at ? now : each));
}

/** What a world is after an edit. */
export function edited(state: WorldState, change: Edit): WorldState {
  if ('namespace' in change) {
    return { ...state, namespaces: { ...state.namespaces, [change.namespace]: change.now } };
  }
  if ('node' in change) return { ...state, zones: without(state.zones, change.node, change.zone) };
  if ('policy' in change) return { ...state, policies: without(state.policies, change.policy, change.now) };
  if ('nobody' in change) return { ...state, nobodies: without(state.nobodies, change.nobody, change.labels) };
  if ('now' in change) return { ...state, pods: without(state.pods, change.pod, change.now) };
  const pod = state.pods[change.pod];
  return pod === undefined
    ? state
    : { ...state, pods: without(state.pods, change.pod, { ...pod, labels: change.labels }) };
}
