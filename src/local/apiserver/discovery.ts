import type { JsonObject } from './api-object.ts';
import { apiVersionOf, type Kind, type KindRegistry } from './kind.ts';

const VERBS = ['delete', 'deletecollection', 'get', 'list', 'patch', 'create', 'update', 'watch'];

/** What `/version` answers; the minor version is the one whose API this server follows. */
export const VERSION: JsonObject = {
  major: '1',
  minor: '34',
  gitVersion: 'v1.34.0+romana.embedded',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: '',
  compiler: '',
  platform: 'linux',
};

function resourceOf(kind: Kind): JsonObject {
  return {
    name: kind.plural,
    singularName: kind.singular,
    namespaced: kind.namespaced,
    kind: kind.kind,
    verbs: kind.collectionDelete ? VERBS : VERBS.filter((verb) => verb !== 'deletecollection'),
    ...(kind.shortNames.length === 0 ? {} : { shortNames: kind.shortNames }),
    ...(kind.categories.length === 0 ? {} : { categories: kind.categories }),
  };
}

function subresourcesOf(kind: Kind): JsonObject[] {
  const make = (name: string, kindName: string, verbs: string[], more: JsonObject = {}): JsonObject => ({
    name: `${kind.plural}/${name}`,
    singularName: '',
    namespaced: kind.namespaced,
    ...more,
    kind: kindName,
    verbs,
  });
  const status = kind.hasStatus ? [make('status', kind.kind, ['get', 'patch', 'update'])] : [];
  if (kind.key !== 'pods') return status;
  return [
    ...status,
    make('binding', 'Binding', ['create']),
    make('exec', 'PodExecOptions', ['create', 'get']),
    make('log', 'Pod', ['get']),
  ];
}

function groupOf(group: string, kinds: readonly Kind[]): JsonObject {
  const names = [...new Set(kinds.filter((k) => k.group === group).map((k) => k.version))];
  const versions = names.map((version) => ({ groupVersion: apiVersionOf({ group, version }), version }));
  return { name: group, versions, preferredVersion: versions[0] };
}

/** The discovery document at a path (Kubernetes API concepts, "Unaggregated discovery"), or undefined. */
export function discover(registry: KindRegistry, segments: readonly string[]): JsonObject | undefined {
  const [root, first, second, ...more] = segments;
  if (more.length > 0) return undefined;
  const groups = [...new Set(registry.all.map((kind) => kind.group))].filter((group) => group !== '');
  if (root === 'api') {
    if (first === undefined) return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] };
    return second === undefined ? resourceList(registry, '', first) : undefined;
  }
  if (root !== 'apis') return undefined;
  if (first === undefined)
    return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups.map((group) => groupOf(group, registry.all)) };
  if (!groups.includes(first)) return undefined;
  if (second === undefined) return { kind: 'APIGroup', apiVersion: 'v1', ...groupOf(first, registry.all) };
  return resourceList(registry, first, second);
}

function resourceList(registry: KindRegistry, group: string, version: string): JsonObject | undefined {
  const kinds = registry.all.filter((kind) => kind.group === group && kind.version === version);
  if (kinds.length === 0) return undefined;
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: apiVersionOf({ group, version }),
    resources: kinds.flatMap((kind) => subresourcesOf(kind).toSpliced(0, 0, resourceOf(kind))),
  };
}
