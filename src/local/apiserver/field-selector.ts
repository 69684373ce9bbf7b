import { at } from './api-object.ts';
import { badRequest } from './status-error.ts';

interface Term {
  readonly path: readonly string[];
  readonly equal: boolean;
  readonly value: string;
  /** What a field counts as that is not there. */
  readonly missing: string;
}

/** The fields that are false when they are not there. */
const FLAGS = new Set(['spec.hostNetwork', 'spec.unschedulable']);
/** Fields of Events that field selectors call by another name. */
const ALIASES = new Map([['source', 'source.component']]);

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
    if (match === null) throw badRequest(`invalid selector: '${text}'; can't understand '${term}'`);
    const [, field = '', operator, value = ''] = match;
    if (!known.includes(field)) throw badRequest(`field label not supported: ${field}`);
    return {
      path: (ALIASES.get(field) ?? field).split('.'),
      equal: operator !== '!=',
      value: value.replaceAll(/\\([\\,=])/g, '$1'),
      missing: FLAGS.has(field) ? 'false' : '',
    };
  });
}

/** Whether an object is selected; a field that is missing counts as '', or false. */
export function matchesFields(selector: FieldSelector, object: unknown): boolean {
  return selector.every(({ path, equal, value, missing }) => {
    const found = at(object, ...path);
    const text = ['string', 'number', 'boolean'].includes(typeof found) ? String(found) : missing;
    return (text === value) === equal;
  });
}
