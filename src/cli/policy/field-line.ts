import type * as Yaml from 'yaml';
import type { DocumentPlace } from '../read-manifests.ts';

/** `spec.ingress[0].from[1]` as its steps. */
function stepsOf(field: string): readonly (string | number)[] {
  return [...field.matchAll(/\[(\d+)\]|[^.[\]]+/g)].map(([step, index]) =>
    index === undefined ? step : Number(index),
  );
}

/** Where one step below `node` begins and what is there; undefined if there is no such place. */
function stepInto(
  { isMap, isPair, isScalar, isSeq }: typeof Yaml,
  node: unknown,
  step: string | number,
): { readonly at: number; readonly node: unknown } | undefined {
  if (typeof step === 'number') {
    const item = isSeq(node) ? (node.items[step] as Yaml.Node | undefined) : undefined;
    return item?.range === undefined || item.range === null ? undefined : { at: item.range[0], node: item };
  }
  const pair = isMap(node) ? node.items.find(({ key }) => isScalar(key) && String(key.value) === step) : undefined;
  if (!isPair(pair) || !isScalar(pair.key) || pair.key.range === undefined || pair.key.range === null) return undefined;
  return { at: pair.key.range[0], node: pair.value };
}

/**
 * The line of a file, from 1, on which `field` of an object begins; where there is no such field, that of the nearest
 * one around it.
 */
export async function lineOf({ text, line, path }: DocumentPlace, field: string): Promise<number> {
  const yaml = await import('yaml');
  let node: unknown = yaml.parseDocument(text).contents;
  let offset = text.search(/\S/);
  for (const step of [...path, ...stepsOf(field)]) {
    const next = stepInto(yaml, node, step);
    if (next === undefined) break;
    offset = next.at;
    node = next.node;
  }
  return line + text.slice(0, Math.max(offset, 0)).split('\n').length - 1;
}
