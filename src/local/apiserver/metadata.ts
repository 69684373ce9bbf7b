import { isObject, type JsonObject } from './api-object.ts';
import type { Cause } from './status-error.ts';

const LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const QUALIFIED = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const ANNOTATIONS_LIMIT_BYTES = 256 * 1024;

/** Whether `text` is a DNS label (RFC 1123), at most 63 characters. */
export function isDnsLabel(text: string): boolean {
  return LABEL.test(text);
}

/** Whether `text` is DNS labels joined by dots (RFC 1123), at most 253 characters. */
export function isDnsSubdomain(text: string): boolean {
  return text.length <= 253 && SUBDOMAIN.test(text);
}

/** Whether `text` is the key of a label: a name, perhaps behind a DNS prefix and a slash. */
export function isLabelKey(text: string): boolean {
  const slash = text.indexOf('/');
  if (slash < 0) return QUALIFIED.test(text);
  return isDnsSubdomain(text.slice(0, slash)) && QUALIFIED.test(text.slice(slash + 1));
}

/** Whether `text` is the value of a label: empty or a name of at most 63 characters. */
export function isLabelValue(text: string): boolean {
  return text === '' || QUALIFIED.test(text);
}

function badValue(field: string, value: unknown, message: string): Cause {
  return { reason: 'FieldValueInvalid', message: `Invalid value: ${JSON.stringify(value)}: ${message}`, field };
}

/** What is wrong with a map of labels at `field`. */
export function checkLabels(labels: unknown, field: string): Cause[] {
  if (labels === undefined) return [];
  if (!isObject(labels)) return [badValue(field, labels, 'must be an object of strings')];
  return Object.entries(labels).flatMap(([key, value]) => {
    const causes: Cause[] = [];
    if (!isLabelKey(key)) causes.push(badValue(field, key, 'is no label key: a name of at most 63 of [A-Za-z0-9._-]'));
    if (typeof value !== 'string' || !isLabelValue(value))
      causes.push(badValue(field, value, 'is no label value: at most 63 of [A-Za-z0-9._-], or empty'));
    return causes;
  });
}

function checkAnnotations(annotations: unknown): Cause[] {
  if (annotations === undefined) return [];
  const field = 'metadata.annotations';
  if (!isObject(annotations)) return [badValue(field, annotations, 'must be an object of strings')];
  let size = 0;
  const causes: Cause[] = [];
  for (const [key, value] of Object.entries(annotations)) {
    if (!isLabelKey(key.toLowerCase())) causes.push(badValue(field, key, 'is no annotation key'));
    if (typeof value === 'string') size += key.length + value.length;
    else causes.push(badValue(`${field}[${key}]`, value, 'must be a string'));
  }
  if (size > ANNOTATIONS_LIMIT_BYTES)
    causes.push({
      reason: 'FieldValueTooLong',
      message: `Too long: may not be more than ${ANNOTATIONS_LIMIT_BYTES} bytes`,
      field,
    });
  return causes;
}

function checkName(name: unknown, rule: 'label' | 'subdomain'): Cause[] {
  const field = 'metadata.name';
  if (typeof name !== 'string' || name === '')
    return [{ reason: 'FieldValueRequired', message: 'Required value: name or generateName is required', field }];
  if (rule === 'label' ? isDnsLabel(name) : isDnsSubdomain(name)) return [];
  const what = rule === 'label' ? 'label: at most 63 of [a-z0-9-]' : 'subdomain: at most 253 of [a-z0-9.-]';
  return [badValue(field, name, `is no lower case RFC 1123 ${what}, beginning and ending with [a-z0-9]`)];
}

/** What is wrong with an object's metadata (Kubernetes apimachinery, ValidateObjectMeta). */
export function checkMetadata(metadata: JsonObject, rule: 'label' | 'subdomain'): Cause[] {
  const causes = [
    ...checkName(metadata['name'], rule),
    ...checkLabels(metadata['labels'], 'metadata.labels'),
    ...checkAnnotations(metadata['annotations']),
  ];
  const finalizers = metadata['finalizers'];
  if (finalizers === undefined) return causes;
  if (!Array.isArray(finalizers)) return [...causes, badValue('metadata.finalizers', finalizers, 'must be an array')];
  for (const [i, finalizer] of finalizers.entries())
    if (typeof finalizer !== 'string' || !isLabelKey(finalizer))
      causes.push(badValue(`metadata.finalizers[${i}]`, finalizer, 'is no qualified name'));
  return causes;
}
