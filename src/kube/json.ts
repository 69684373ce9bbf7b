/** `value` as an object with fields, or undefined when it is anything else. */
export function asRecord(value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return value as Readonly<Record<string, unknown>>;
}

/** `value` if it is a string, else ''. */
export function asText(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** The identity of any Kubernetes object; a missing field is ''. */
export interface Identity {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly resourceVersion: string;
}

/** What `metadata` says of an object's identity, whether or not the rest of it can be read. */
export function identityOf(object: unknown): Identity {
  const meta = asRecord(asRecord(object)?.['metadata']);
  return {
    name: asText(meta?.['name']),
    namespace: asText(meta?.['namespace']),
    uid: asText(meta?.['uid']),
    resourceVersion: asText(meta?.['resourceVersion']),
  };
}

/** `namespace/name`, or `name` for what is cluster scoped: the key of every store. */
export function keyOf(id: Pick<Identity, 'name' | 'namespace'>): string {
  return id.namespace === '' ? id.name : `${id.namespace}/${id.name}`;
}
