import { err, ok, type Result } from '../lib/result.ts';
import { describe, Field } from './field.ts';
import { labelKeyFault, labelValueFault } from './label-syntax.ts';
import type { Labels, Parsed } from './meta.ts';

/** How a requirement compares (apimachinery `LabelSelectorOperator`). */
export type Operator = 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';

/** One condition on one label. `values` is not empty for In and NotIn, and empty for the others. */
export interface Requirement {
  readonly key: string;
  readonly operator: Operator;
  readonly values: readonly string[];
}

/** Labels that match all requirements; without any, all labels match. */
export interface LabelSelector {
  readonly requirements: readonly Requirement[];
}

/** Selects everything. */
export const EVERYTHING: LabelSelector = { requirements: [] };

/** The selector that wants exactly these values, beside whatever other labels. */
export function selectorFromLabels(labels: Labels): LabelSelector {
  return { requirements: [...labels].map(([key, value]) => ({ key, operator: 'In', values: [value] })) };
}

/** Reads a map of labels to match, with Kubernetes' syntax for keys and values. */
export function readMatchLabels(field: Field): Labels {
  const labels = field.strings();
  for (const [key, value] of labels) {
    const fault = labelKeyFault(key) ?? labelValueFault(value);
    if (fault !== undefined) field.fail(fault);
  }
  return labels;
}

const OPERATORS: readonly Operator[] = ['In', 'NotIn', 'Exists', 'DoesNotExist'];

function readExpression(field: Field): Requirement | undefined {
  const before = field.errors.length;
  const keyField = field.get('key');
  const key = keyField.string('');
  const keyFault = labelKeyFault(key);
  if (keyFault !== undefined) keyField.fail(keyFault);
  const values = field.get('values').list((value) => {
    const text = value.string();
    const fault = labelValueFault(text);
    if (fault !== undefined) value.fail(fault);
    return text;
  });
  const operatorField = field.get('operator');
  const operator = OPERATORS.find((known) => known === operatorField.value);
  if (operator === undefined) {
    operatorField.fail(`Invalid value: ${describe(operatorField.value ?? '')}: not a valid selector operator`);
    return undefined;
  }
  const wantsValues = operator === 'In' || operator === 'NotIn';
  if (wantsValues && values.length === 0) {
    field.get('values').fail("Required value: must be specified when `operator` is 'In' or 'NotIn'");
  }
  if (!wantsValues && values.length > 0) {
    field.get('values').fail("Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
  }
  return field.errors.length === before ? { key, operator, values } : undefined;
}

/**
 * Reads a LabelSelector of meta/v1; unknown fields are for the caller to judge. An expression with a fault is left out,
 * so that what is read selects at least what was meant.
 */
export function readLabelSelector(field: Field): LabelSelector {
  const fromLabels = selectorFromLabels(readMatchLabels(field.get('matchLabels')));
  const fromExpressions = field.get('matchExpressions').list(readExpression);
  return { requirements: [...fromLabels.requirements, ...fromExpressions] };
}

/**
 * Parses a LabelSelector of meta/v1 that stands at `field` of its object. A missing one is a fault: its meaning is the
 * caller's. What an unknown field would have narrowed is not known, so it is a fault, too.
 */
export function parseLabelSelector(json: unknown, field: string): Parsed<LabelSelector> {
  const root = Field.root(json, { nulls: 'absent' }, field).required().only('matchLabels', 'matchExpressions');
  const selector = readLabelSelector(root);
  return root.errors.length === 0 ? ok(selector) : err(root.errors);
}

function requirementMatches(requirement: Requirement, labels: Labels): boolean {
  const value = labels.get(requirement.key);
  const among = value !== undefined && requirement.values.includes(value);
  const answers: Readonly<Record<Operator, boolean>> = {
    In: among,
    NotIn: !among,
    Exists: value !== undefined,
    DoesNotExist: value === undefined,
  };
  return answers[requirement.operator];
}

/** Whether `labels` meet `selector`. NotIn holds for labels without the key, as in Kubernetes. */
export function matches(selector: LabelSelector, labels: Labels): boolean {
  return selector.requirements.every((requirement) => requirementMatches(requirement, labels));
}

/** The answer to a question of which a part may not be known. */
export type Answer = 'yes' | 'no' | 'unknown';

/**
 * Whether a thing meets `selector` of which only the labels whose key is `known` are known
 * (a known key that is not in `labels` is a label that the thing does not have).
 */
export function matchesPartly(selector: LabelSelector, labels: Labels, known: (key: string) => boolean): Answer {
  let answer: Answer = 'yes';
  for (const requirement of selector.requirements) {
    if (!known(requirement.key)) answer = 'unknown';
    else if (!requirementMatches(requirement, labels)) return 'no';
  }
  return answer;
}

const KEY = /^\s*([A-Za-z0-9][-A-Za-z0-9_./]*)\s*/;
const SET = /^(in|notin)\s*\(([^()]*)\)\s*$/;

/** Splits at the commas that are not inside parentheses. */
function splitRequirements(text: string): readonly string[] {
  return text.split(/,(?![^(]*\))/);
}

function parseRequirement(text: string): Requirement | string {
  const trimmed = text.trim();
  const absent = trimmed.startsWith('!');
  const rest = absent ? trimmed.slice(1) : trimmed;
  const keyMatch = KEY.exec(rest);
  const key = keyMatch?.[1] ?? '';
  const fault = labelKeyFault(key);
  if (fault !== undefined) return fault;
  const tail = rest.slice(keyMatch?.[0].length ?? 0);
  if (tail === '') return { key, operator: absent ? 'DoesNotExist' : 'Exists', values: [] };
  if (absent) return `!${key} takes no value`;
  const set = SET.exec(tail);
  if (set !== null) {
    const values = (set[2] ?? '').split(',').map((value) => value.trim());
    return { key, operator: set[1] === 'in' ? 'In' : 'NotIn', values };
  }
  const equality = /^(==?|!=)\s*(.*)$/.exec(tail);
  if (equality === null) return `expected =, ==, !=, in (...) or notin (...) after ${key}`;
  return { key, operator: equality[1] === '!=' ? 'NotIn' : 'In', values: [equality[2] ?? ''] };
}

/**
 * Parses a selector as in `labelSelector` of a list request and `kubectl -l`: `a=b,c!=d,e in (f,g),h notin (i),j,!k`
 * (apimachinery `labels.Parse`, without its > and <). '' selects everything.
 */
export function parseSelectorText(text: string): Result<LabelSelector> {
  if (text.trim() === '') return ok(EVERYTHING);
  const requirements: Requirement[] = [];
  for (const part of splitRequirements(text)) {
    const parsed = parseRequirement(part);
    if (typeof parsed === 'string') return err(`bad label selector ${JSON.stringify(text)}: ${parsed}`);
    for (const value of parsed.values) {
      const fault = labelValueFault(value);
      if (fault !== undefined) return err(`bad label selector ${JSON.stringify(text)}: ${fault}`);
    }
    requirements.push(parsed);
  }
  return ok({ requirements });
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function formatRequirement({ key, operator, values }: Requirement): string {
  if (operator === 'Exists') return key;
  if (operator === 'DoesNotExist') return `!${key}`;
  const distinct = [...new Set(values)].sort(compareText);
  if (distinct.length === 1) return `${key}${operator === 'In' ? '=' : '!='}${distinct[0]}`;
  return `${key} ${operator === 'In' ? 'in' : 'notin'} (${distinct.join(',')})`;
}

/** The selector as text for a list request. Selectors that say the same in another order have the same text. */
export function formatSelector(selector: LabelSelector): string {
  const sorted = selector.requirements
    .map((requirement) => ({ key: requirement.key, text: formatRequirement(requirement) }))
    .sort((a, b) => compareText(a.key, b.key) || compareText(a.text, b.text));
  return [...new Set(sorted.map(({ text }) => text))].join(',');
}
