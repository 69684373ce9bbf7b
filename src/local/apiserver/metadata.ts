import { arrayAt, isObject, objectAt, textAt, type JsonObject } from './api-object.ts';
import type { Cause } from './status-error.ts';

const LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const SUBDOMAIN = `${LABEL}(\\.${LABEL})*`;
const QUALIFIED = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const ANNOTATIONS_LIMIT_BYTES = 256 * 1024;

/** What a text must be, in the words of Kubernetes (apimachinery, pkg/util/validation). */
interface Rule {
  readonly pattern: RegExp;
  readonly limit: number;
  readonly unit: 'bytes' | 'characters';
  readonly says: string;
}

function rule(source: string, limit: number, unit: Rule['unit'], says: string, examples: string): Rule {
  const text = `${says}, and must start and end with an alphanumeric character (e.g. ${examples}, regex used for validation is '${source}')`;
  return { pattern: new RegExp(`^${source}$`), limit, unit, says: text };
}

const NAME_RULES = {
  label: rule(
    LABEL,
    63,
    'characters',
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-'",
    "'my-name',  or '123-abc'",
  ),
  subdomain: rule(
    SUBDOMAIN,
    253,
    'characters',
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'",
    "'example.com'",
  ),
};
const LABEL_CHARACTERS = "must consist of alphanumeric characters, '-', '_' or '.'";
const KEY_EXAMPLES = "'MyName',  or 'my.name',  or '123-abc'";
const NAME_PART = rule(QUALIFIED, 63, 'bytes', LABEL_CHARACTERS, KEY_EXAMPLES);
const LABEL_VALUE = rule(
  `(${QUALIFIED})?`,
  63,
  'bytes',
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.'",
  "'MyValue',  or 'my_value',  or '12345'",
);

/** What a DNS label must be, in the words of Kubernetes. */
export const DNS_LABEL_SAYS = NAME_RULES.label.says;

/** The finalizers without a domain that Kubernetes has itself. */
const STANDARD_FINALIZERS = new Set(['orphan', 'foregroundDeletion', 'kubernetes']);

/** What is wrong with `text` by a rule. */
function breaks(text: string, { pattern, limit, unit, says }: Rule): string[] {
  const faults = text.length > limit ? [`must be no more than ${limit} ${unit}`] : [];
  return pattern.test(text) ? faults : [...faults, says];
}

/** What is wrong with the key of a label: a name, perhaps behind a DNS prefix and a slash. */
function breaksKey(key: string): string[] {
  const parts = key.split('/');
  if (parts.length > 2) {
    return [
      `a valid label key ${NAME_PART.says} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  }
  const [prefix, name = ''] = parts.length === 2 ? parts : [undefined, key];
  const faults: string[] = [];
  if (prefix === '') faults.push('prefix part must be non-empty');
  else if (prefix !== undefined)
    faults.push(...breaks(prefix, NAME_RULES.subdomain).map((fault) => `prefix part ${fault}`));
  if (name === '') faults.push('name part must be non-empty');
  return [...faults, ...breaks(name, NAME_PART).map((fault) => `name part ${fault}`)];
}

function bad(field: string, value: unknown, message: string): Cause {
  return { reason: 'FieldValueInvalid', message: `Invalid value: ${JSON.stringify(value)}: ${message}`, field };
}

/** What is wrong with a map of labels at `field`. */
export function checkLabels(labels: JsonObject, field: string): Cause[] {
  const causes: Cause[] = [];
  for (const [key, value] of Object.entries(labels)) {
    causes.push(...breaksKey(key).map((fault) => bad(field, key, fault)));
    causes.push(...breaks(String(value), LABEL_VALUE).map((fault) => bad(field, value, fault)));
  }
  return causes;
}

function checkAnnotations(annotations: JsonObject): Cause[] {
  const field = 'metadata.annotations';
  const causes: Cause[] = [];
  let size = 0;
  for (const [key, value] of Object.entries(annotations)) {
    causes.push(...breaksKey(key.toLowerCase()).map((fault) => bad(field, key, fault)));
    size += Buffer.byteLength(key) + Buffer.byteLength(String(value));
  }
  if (size > ANNOTATIONS_LIMIT_BYTES)
    causes.push({
      reason: 'FieldValueTooLong',
      message: `Too long: may not be more than ${ANNOTATIONS_LIMIT_BYTES} bytes`,
      field,
    });
  return causes;
}

function checkNames(metadata: JsonObject, nameRule: Rule): Cause[] {
  const base = textAt(metadata, 'generateName');
  // A name is put together: its beginning may end with a dash.
  const causes =
    base === ''
      ? []
      : breaks(base.replace(/-$/, 'a'), nameRule).map((fault) => bad('metadata.generateName', base, fault));
  const name = textAt(metadata, 'name');
  const field = 'metadata.name';
  if (name === '') {
    const message = 'Required value: name or generateName is required';
    return [...causes, { reason: 'FieldValueRequired', message, field }];
  }
  return [...causes, ...breaks(name, nameRule).map((fault) => bad(field, name, fault))];
}

function checkFinalizers(metadata: JsonObject, builtin: boolean): Cause[] {
  const field = 'metadata.finalizers';
  return arrayAt(metadata, 'finalizers').flatMap((value, i) => {
    const finalizer = String(value);
    const faults = breaksKey(finalizer);
    if (faults.length > 0) return faults.map((fault) => bad(field, finalizer, fault));
    if (!builtin || finalizer.includes('/') || STANDARD_FINALIZERS.has(finalizer)) return [];
    return [bad(`${field}[${i}]`, finalizer, 'name is neither a standard finalizer name nor is it fully qualified')];
  });
}

function checkOwners(metadata: JsonObject): Cause[] {
  const field = 'metadata.ownerReferences';
  return arrayAt(metadata, 'ownerReferences').flatMap((owner) => {
    const apiVersion = textAt(owner, 'apiVersion');
    const causes: Cause[] = [];
    if (!/^([^/]+\/)?[^/]+$/.test(apiVersion))
      causes.push(bad(`${field}.apiVersion`, apiVersion, 'version must not be empty'));
    for (const key of ['kind', 'name', 'uid'])
      if (textAt(owner, key) === '') causes.push(bad(`${field}.${key}`, '', 'must not be empty'));
    return causes;
  });
}

/** What metadata must keep to. */
export interface MetadataRules {
  readonly name: 'label' | 'subdomain';
  /** Whether the kind is one of Kubernetes' own, for which finalizers must have a domain. */
  readonly builtin: boolean;
}

/** What is wrong with an object's metadata, whose types have been checked (apimachinery, ValidateObjectMeta). */
export function checkMetadata(metadata: JsonObject, { name, builtin }: MetadataRules): Cause[] {
  return [
    ...checkNames(metadata, NAME_RULES[name]),
    ...checkLabels(objectAt(metadata, 'labels'), 'metadata.labels'),
    ...checkAnnotations(objectAt(metadata, 'annotations')),
    ...checkOwners(metadata),
    ...checkFinalizers(metadata, builtin),
  ];
}

/** Takes away, in place, what is null or empty, as decoding into Kubernetes' Go types does. */
export function dropEmpty(metadata: JsonObject): void {
  for (const [key, value] of Object.entries(metadata)) {
    const empty = Array.isArray(value) ? value.length === 0 : isObject(value) && Object.keys(value).length === 0;
    if (value === null || value === '' || empty) delete metadata[key];
  }
}
