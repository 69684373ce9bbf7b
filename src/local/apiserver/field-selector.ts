import { at } from './api-object.ts';
import { badRequest } from './status-error.ts';

interface Term {
  readonly path: readonly string[];
  readonly equal: boolean;
  readonly value: string;
}

/** A parsed field selector; no terms select everything. */
export type FieldSelector = readonly Term[];

/** Splits at commas that are not escaped by a backslash. */
function splitTerms(text: string): string[] {
  return text.split(/(?<!\\),/).filter((term) => term !== '');
}

/**
 * Parses `a=b,c!=d` (Kubernetes fields.ParseSelector).
 *
 * @param known the fields that the kind can be selected by.
 * @throws StatusError 400 for another field or bad syntax.
 */
export function parseFieldSelector(text: string, known: readonly string[]): FieldSelector {
  return splitTerms(text).map((term) => {
    const match = /^(.*?)(==|!=|=)(.*)$/s.exec(term);
    if (match === null) throw badRequest(`invalid field selector ${JSON.stringify(term)}: no =, == or !=`);
    const [, field = '', operator, value = ''] = match;
    if (!known.includes(field)) throw badRequest(`field label not supported: ${field}`);
    return { path: field.split('.'), equal: operator !== '!=', value: value.replaceAll(/\\([\\,=])/g, '$1') };
  });
}

/** Whether an object is selected; a field that is missing counts as ''. */
export function matchesFields(selector: FieldSelector, object: unknown): boolean {
  return selector.every(({ path, equal, value }) => {
    const found = at(object, ...path);
    const text = typeof found === 'string' || typeof found === 'number' ? String(found) : '';
    return (text === value) === equal;
  });
}
