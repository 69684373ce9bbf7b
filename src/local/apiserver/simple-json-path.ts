import { at, isObject } from './api-object.ts';

/** The values under a path in an object; none when a step is missing. */
export type JsonPath = (value: unknown) => readonly unknown[];

type Step = (value: unknown) => readonly unknown[];

const STEP =
  /\.([A-Za-z_][\w-]*)|\['([^']+)'\]|\[(\d+)\]|\[\*\]|\[\?\(@\.([\w.-]+)\s*==\s*(?:"([^"]*)"|'([^']*)')\)\]/y;

function present(value: unknown): readonly unknown[] {
  return value === undefined ? [] : [value];
}

function stepOf(match: RegExpExecArray): Step {
  const [, dotted, quoted, index, field, double, single] = match;
  const name = dotted ?? quoted;
  if (name !== undefined) return (value) => present(at(value, name));
  if (index !== undefined) return (value) => present(at(value, Number(index)));
  if (field === undefined)
    return (value) => (Array.isArray(value) ? (value as unknown[]) : isObject(value) ? Object.values(value) : []);
  const wanted = double ?? single ?? '';
  const path = field.split('.');
  return (value) => (Array.isArray(value) ? (value as unknown[]).filter((item) => at(item, ...path) === wanted) : []);
}

/**
 * Compiles the part of kubectl's JSONPath that printer columns are written in: `.a.b`, `['a']`, `[0]`, `[*]` and
 * `[?(@.type=="X")]`.
 *
 * @throws Error for anything else.
 */
export function compileJsonPath(text: string): JsonPath {
  const steps: Step[] = [];
  let end = 0;
  while (end < text.length) {
    STEP.lastIndex = end;
    const match = STEP.exec(text);
    if (match === null) throw new Error(`JSONPath ${text}: ${JSON.stringify(text.slice(end))} is not understood`);
    steps.push(stepOf(match));
    end += match[0].length;
  }
  return (value) => steps.reduce<readonly unknown[]>((values, step) => values.flatMap(step), [value]);
}
