import { err, ok, type Result } from '../../lib/result.ts';
import { parseClusterNetworkPolicy } from '../../objects/cluster-network-policy.ts';
import { isLegacyDemo, parseDemoPolicy, toModern } from '../../objects/demo-policy.ts';
import { Field, isJsonObject, type FieldError, type JsonObject } from '../../objects/field.ts';
import { labelKeyFault, labelValueFault } from '../../objects/label-syntax.ts';
import { formatFieldErrors, qualifiedName, type Meta, type Parsed } from '../../objects/meta.ts';
import { parseNamespace, type Namespace } from '../../objects/namespace.ts';
import { parseNetworkPolicy } from '../../objects/network-policy.ts';
import { parseNode, type Node } from '../../objects/node.ts';
import { parsePod, type Pod } from '../../objects/pod.ts';
import { portNameFault } from '../../objects/port-name.ts';
import { refuseInvalid } from '../../objects/policy-fault.ts';
import { refusal } from '../../objects/refused.ts';
import { clusterPolicy } from '../../policy/from-cluster.ts';
import { demoPolicy } from '../../policy/from-demo.ts';
import { v1Policy } from '../../policy/from-v1.ts';
import { policyName, type Policy } from '../../policy/model.ts';
import { readManifests, type DocumentPlace, type Manifest, type ManifestSources } from '../read-manifests.ts';
import { problemNotes, type PolicyWorld } from './policy-world.ts';

/** The label of pods that the default Network has; it plays no role where all labels are known. */
const SEGMENT_LABEL = 'segment';
const NAMESPACED = new Set(['v1 Pod', 'networking.k8s.io/v1 NetworkPolicy', 'demo.romana.io/v1 NetworkPolicy']);
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** What the API server holds against the metadata of any object. */
function metaFaults({ labels, namespace }: Meta): readonly FieldError[] {
  const faults = [...labels].flatMap(([key, value]) => labelKeyFault(key) ?? labelValueFault(value) ?? []);
  return [
    ...faults.map((message) => ({ field: 'metadata.labels', message })),
    ...(namespace === '' ? [] : namespaceFaults('metadata.namespace', namespace)),
  ];
}

function namespaceFaults(field: string, name: string): readonly FieldError[] {
  return DNS_LABEL.test(name) ? [] : [{ field, message: `must be a DNS label (RFC 1123), found "${name}"` }];
}

/** What the API server holds against names of container ports; whoever reads stored pods takes them as they are. */
function portNameFaults(pod: JsonObject): readonly FieldError[] {
  const spec = Field.root(pod, { nulls: 'absent' }).get('spec');
  const containers = [...spec.get('initContainers').items(), ...spec.get('containers').items()];
  return containers.flatMap((container) => {
    const seen = new Set<unknown>();
    return container
      .get('ports')
      .items()
      .flatMap((port) => {
        const { value, path: field } = port.get('name');
        if (typeof value !== 'string' || value === '') return [];
        const twice = seen.has(value);
        seen.add(value);
        const fault = portNameFault(value);
        if (fault !== undefined) return [{ field, message: `Invalid value: ${JSON.stringify(value)}: ${fault}` }];
        return twice ? [{ field, message: `Duplicate value: ${JSON.stringify(value)}` }] : [];
      });
  });
}

/** Collects the objects of manifests, of which no two may be the same. */
class Collector {
  readonly namespaces = new Map<string, Namespace>();
  readonly nodes = new Map<string, Node>();
  readonly pods = new Map<string, Pod>();
  readonly policies = new Map<string, Policy>();
  readonly places = new Map<string, DocumentPlace>();
  readonly notes: string[] = [];
  readonly #where = new Map<string, string>();

  /** Takes one object, or says what is wrong with it. */
  add({ where, place, object: written }: Manifest): string | undefined {
    const object = isLegacyDemo(written) ? toModern(written) : written;
    const refused = refusal(object);
    if (refused !== undefined) return `${where}: ${refused}`;
    const { apiVersion, kind } = object;
    for (const [field, value] of Object.entries({ apiVersion, kind })) {
      if (typeof value !== 'string' || value === '') return `${where}: ${field}: Required value`;
    }
    const type = `${String(apiVersion)} ${String(kind)}`;
    const read = this.#reader(type);
    if (read === undefined) {
      this.notes.push(`skips ${where}: ${type} says nothing of policy`);
      return undefined;
    }
    const name = read(withNamespace(object, NAMESPACED.has(type)));
    if (!name.ok) return `${where}: ${formatFieldErrors(name.error)}`;
    const before = this.#where.get(name.value);
    if (before !== undefined) return `${where}: metadata.name: ${name.value} is there twice, also in ${before}`;
    this.#where.set(name.value, where);
    this.places.set(name.value, place);
    return undefined;
  }

  /** How an object of a type is read and kept; its name for messages is the outcome. */
  #reader(type: string): ((json: JsonObject) => Parsed<string>) | undefined {
    switch (type) {
      case 'v1 Namespace':
        return (json) => this.#keepNamespace(parseNamespace(json));
      case 'v1 Node':
        return (json) => this.#keep(parseNode(json), 'Node', this.nodes, ({ problems }) => problems);
      case 'v1 Pod':
        return (json) => this.#keep(orFaults(parsePod(json), portNameFaults(json)), 'Pod', this.pods, () => []);
      case 'networking.k8s.io/v1 NetworkPolicy':
        return (json) => this.#keepPolicy(refuseInvalid(parseNetworkPolicy(json)), v1Policy);
      case 'policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy':
        return (json) => this.#keepPolicy(refuseInvalid(parseClusterNetworkPolicy(json)), clusterPolicy);
      case 'demo.romana.io/v1 NetworkPolicy':
        return (json) => this.#keepPolicy(parseDemoPolicy(json), demoPolicy);
      default:
        return undefined;
    }
  }

  #keepNamespace(parsed: Parsed<Namespace>): Parsed<string> {
    const faults = parsed.ok ? namespaceFaults('metadata.name', parsed.value.meta.name) : [];
    return this.#keep(orFaults(parsed, faults), 'Namespace', this.namespaces, ({ problems }) => problems);
  }

  #keep<T extends { readonly meta: Meta }>(
    parsed: Parsed<T>,
    kind: string,
    into: Map<string, T>,
    problemsOf: (object: T) => readonly FieldError[],
  ): Parsed<string> {
    if (!parsed.ok) return parsed;
    const faults = metaFaults(parsed.value.meta);
    if (faults.length > 0) return err(faults);
    const key = qualifiedName(parsed.value.meta);
    if (!into.has(key)) into.set(key, parsed.value);
    const problems = problemsOf(parsed.value);
    if (problems.length > 0) this.notes.push(`${kind} ${key}: ${formatFieldErrors(problems)}`);
    return ok(`${kind} ${key}`);
  }

  #keepPolicy<T extends { readonly meta: Meta }>(parsed: Parsed<T>, make: (object: T) => Policy): Parsed<string> {
    if (!parsed.ok) return parsed;
    const faults = metaFaults(parsed.value.meta);
    if (faults.length > 0) return err(faults);
    const policy = make(parsed.value);
    const name = policyName(policy);
    if (!this.policies.has(name)) this.policies.set(name, policy);
    this.notes.push(...problemNotes(policy));
    return ok(name);
  }
}

function orFaults<T>(parsed: Parsed<T>, faults: readonly FieldError[]): Parsed<T> {
  return parsed.ok && faults.length > 0 ? err(faults) : parsed;
}

/** An object that says no namespace is one of `default`; one that can be in none is in none, whatever it says. */
function withNamespace(object: JsonObject, namespaced: boolean): JsonObject {
  const metadata = object['metadata'];
  if (!isJsonObject(metadata) || (namespaced && (metadata['namespace'] ?? '') !== '')) return object;
  return { ...object, metadata: { ...metadata, namespace: namespaced ? 'default' : '' } };
}

/**
 * Reads a world from files, directories and standard input: all of them together are one. The error is one line with
 * file, document and field, for what an API server would refuse, and for objects that are there twice.
 */
export async function readOffline(sources: ManifestSources): Promise<Result<PolicyWorld>> {
  const manifests = await readManifests(sources);
  if (!manifests.ok) return manifests;
  const collector = new Collector();
  for (const manifest of manifests.value) {
    const fault = collector.add(manifest);
    if (fault !== undefined) return err(fault);
  }
  const { namespaces, nodes, pods, policies, places, notes } = collector;
  return ok({ segmentLabel: SEGMENT_LABEL, namespaces, nodes, pods, policies, ranges: [], places, notes });
}
