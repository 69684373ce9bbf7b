import type { ApiObject, JsonObject } from './api-object.ts';
import type { Column } from './column.ts';
import type { Cause } from './status-error.ts';

/** A kind of objects that the server keeps: its names, and the rules that set it apart. */
export interface Kind {
  /** The storage key: the plural, and the group behind a dot. */
  readonly key: string;
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly listKind: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /**
   * Whether it is one of Kubernetes' own, not of a CustomResourceDefinition. Those may be sent without kind and
   * take strategic merge patches.
   */
  readonly builtin: boolean;
  /** Whether a replacement without resourceVersion is taken. */
  readonly unconditionalUpdate: boolean;
  /** Whether the replacement of an object that is not there makes it. */
  readonly createsOnUpdate: boolean;
  /** Whether `status` is a subresource, written apart from the rest. */
  readonly hasStatus: boolean;
  /** Whether a new object may bring its status along. */
  readonly keepsStatusOnCreate: boolean;
  /** Whether `metadata.generation` counts the changes to what is wanted. */
  readonly hasGeneration: boolean;
  readonly collectionDelete: boolean;
  /** What `metadata.name` must be (RFC 1123): a label, or labels joined by dots. */
  readonly nameRule: 'label' | 'subdomain';
  /** The fields that field selectors may name. */
  readonly selectableFields: readonly string[];
  /** How tables show its objects. */
  readonly columns: readonly Column[];
  /** What its objects look like: JSON schema of a built-in kind, structural schema (OpenAPI v3) of a custom one. */
  readonly schema: JsonObject;
  /** The fields of a body that would be dropped, such as `spec.foo`; none where all are kept. */
  readonly unknownFields: (body: unknown) => readonly string[];
  /** Sets defaults and takes away what the kind does not know; before validation. Changes `object`; `old` is what it replaces. */
  readonly prepare: (object: ApiObject, old: ApiObject | undefined) => void;
  /** What is wrong with an object; `old` is what it replaces. */
  readonly validate: (object: ApiObject, old: ApiObject | undefined) => readonly Cause[];
}

/** `v1`, or group and version with a slash between. */
export function apiVersionOf({ group, version }: { group: string; version: string }): string {
  return group === '' ? version : `${group}/${version}`;
}

/** All kinds of a server, by the names that requests use. */
export class KindRegistry {
  readonly all: readonly Kind[];
  readonly #byPath: ReadonlyMap<string, Kind>;

  /** @throws Error when two kinds claim one name. */
  constructor(kinds: readonly Kind[]) {
    const byPath = new Map<string, Kind>();
    for (const kind of kinds) {
      const path = `${apiVersionOf(kind)}/${kind.plural}`;
      if (byPath.has(path)) throw new Error(`two kinds are both served as ${path}`);
      byPath.set(path, kind);
    }
    this.all = kinds;
    this.#byPath = byPath;
  }

  /** The kind served at a group, version and plural. */
  find(group: string, version: string, plural: string): Kind | undefined {
    return this.#byPath.get(`${apiVersionOf({ group, version })}/${plural}`);
  }

  /** The kind of a storage key. @throws Error for a key that no kind has. */
  byKey(key: string): Kind {
    const kind = this.all.find((k) => k.key === key);
    if (kind === undefined) throw new Error(`no kind is stored under ${key}`);
    return kind;
  }
}
