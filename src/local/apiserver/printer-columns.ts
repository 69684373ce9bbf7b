import { arrayAt, at, textAt } from './api-object.ts';
import { ageOf } from './age.ts';
import { AGE_COLUMN, NAME_COLUMN, type Column } from './column.ts';
import { compileJsonPath } from './simple-json-path.ts';

type Cell = string | number | boolean | null;

function asText(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}

/** A value as its column's type has it; null where it is of another type. */
function cellOf(type: string, value: unknown, now: number): Cell {
  if (value === undefined || value === null) return null;
  switch (type) {
    case 'date':
      return ageOf(value, now);
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : null;
    case 'number':
      return typeof value === 'number' ? value : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    default:
      return asText(value);
  }
}

function columnOf(definition: unknown): Column {
  const type = textAt(definition, 'type');
  const path = compileJsonPath(textAt(definition, 'jsonPath'));
  const priority = at(definition, 'priority');
  return {
    name: textAt(definition, 'name'),
    type,
    format: textAt(definition, 'format'),
    description: textAt(definition, 'description'),
    priority: typeof priority === 'number' ? priority : 0,
    // Of several values the first, as in Kubernetes' own tables of custom resources.
    cell: (object, now) => cellOf(type, path(object)[0], now),
  };
}

/**
 * The columns of a custom resource: its name, then the `additionalPrinterColumns` of its version; its age when there
 * are none (CRD documentation, "Additional printer columns").
 *
 * @throws Error for a jsonPath that is not understood.
 */
export function printerColumns(version: unknown): readonly Column[] {
  const definitions = arrayAt(version, 'additionalPrinterColumns');
  return [NAME_COLUMN, ...(definitions.length === 0 ? [{ ...AGE_COLUMN, type: 'date' }] : definitions.map(columnOf))];
}
