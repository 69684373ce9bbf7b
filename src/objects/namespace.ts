import { describe, Field, isJsonObject, type FieldError } from './field.ts';
import { parseObject, type Meta, type Parsed } from './meta.ts';

/** Switches isolation since Kubernetes 1.2: "on" or "off". */
export const ALPHA_ISOLATION = 'net.alpha.kubernetes.io/network-isolation';
/** The same in Kubernetes 1.3: `{"ingress":{"isolation":"DefaultDeny"}}`. */
export const BETA_ISOLATION = 'net.beta.kubernetes.io/network-policy';
/** The label that the API server gives every namespace: its name (KEP-2161). */
export const NAMESPACE_NAME_LABEL = 'kubernetes.io/metadata.name';

/** A namespace: a tenant. */
export interface Namespace {
  /** `labels` always has NAMESPACE_NAME_LABEL, also where the object was not read from an API server. */
  readonly meta: Meta;
  /** Whether an annotation isolates its pods for ingress. One that can't be read does: closed. */
  readonly isolated: boolean;
  /** Annotations that could not be read. They do not make the namespace itself unreadable. */
  readonly problems: readonly FieldError[];
}

function readAlpha(field: Field): boolean {
  if (field.value === 'on' || field.absent) return field.value === 'on';
  if (field.value === 'off') return false;
  field.fail(`must be "on" or "off", found ${describe(field.value)}; the namespace counts as isolated`);
  return true;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function readBeta(field: Field): boolean {
  if (field.absent) return false;
  const json = typeof field.value === 'string' ? parseJson(field.value) : undefined;
  if (isJsonObject(json)) {
    const inside = Field.root(json).only('ingress');
    const ingress = inside.get('ingress').only('isolation');
    const isolation = ingress.get('isolation');
    if (!isolation.absent) isolation.oneOf(['DefaultDeny']);
    if (inside.errors.length === 0) return !isolation.absent;
  }
  field.fail(
    `must be {"ingress":{"isolation":"DefaultDeny"}} or {}, found ${describe(field.value)}; the namespace counts as isolated`,
  );
  return true;
}

function annotation(meta: Meta, key: string): Field {
  return Field.root(meta.annotations.get(key), { nulls: 'absent' }, `metadata.annotations[${key}]`);
}

/** Parses a core/v1 Namespace. */
export function parseNamespace(json: unknown): Parsed<Namespace> {
  return parseObject(json, { apiVersion: 'v1', kind: 'Namespace' }, { nulls: 'absent' }, (_object, meta) => {
    const alphaField = annotation(meta, ALPHA_ISOLATION);
    const betaField = annotation(meta, BETA_ISOLATION);
    const alpha = readAlpha(alphaField);
    const beta = readBeta(betaField);
    const problems = [...alphaField.errors, ...betaField.errors];
    const labels = new Map(meta.labels).set(NAMESPACE_NAME_LABEL, meta.name);
    return { meta: { ...meta, labels }, isolated: alpha || beta, problems };
  });
}
