import { matches, parseSelectorText, type LabelSelector } from '../../objects/selector.ts';
import type { ApiObject } from './api-object.ts';
import { type FieldSelector, matchesFields, parseFieldSelector } from './field-selector.ts';
import type { Kind } from './kind.ts';
import { badRequest } from './status-error.ts';

/** Which objects of a kind a list or watch wants; undefined parts want all. */
export interface Selection {
  readonly namespace: string | undefined;
  readonly labels: LabelSelector | undefined;
  readonly fields: FieldSelector | undefined;
}

/** Reads `labelSelector` and `fieldSelector` of a query. @throws StatusError 400 */
export function parseSelection(kind: Kind, namespace: string | undefined, query: URLSearchParams): Selection {
  const labelText = query.get('labelSelector') ?? '';
  const fieldText = query.get('fieldSelector') ?? '';
  const labels = labelText === '' ? undefined : parseSelectorText(labelText);
  if (labels?.ok === false)
    throw badRequest(`unable to parse labelSelector ${JSON.stringify(labelText)}: ${labels.error}`);
  return {
    namespace,
    labels: labels?.value,
    fields: fieldText === '' ? undefined : parseFieldSelector(fieldText, kind.selectableFields),
  };
}

/** Whether everything in its namespace is wanted, so that no object need be looked at. */
export function selectsAll(selection: Selection): boolean {
  return selection.labels === undefined && selection.fields === undefined;
}

/** Whether an object is wanted. */
export function selects(selection: Selection, object: ApiObject): boolean {
  const { namespace, labels, fields } = selection;
  if (namespace !== undefined && object.metadata.namespace !== namespace) return false;
  if (labels !== undefined && !matches(labels, new Map(Object.entries(object.metadata.labels ?? {})))) return false;
  return fields === undefined || matchesFields(fields, object);
}
