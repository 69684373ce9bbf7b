import { textAt, type ApiObject } from './api-object.ts';
import { ageOf } from './age.ts';

/** One column of the tables in which a kind's objects are shown (meta/v1 TableColumnDefinition). */
export interface Column {
  readonly name: string;
  readonly type: string;
  /** An OpenAPI format; '' for none, `name` marks the column of the names. */
  readonly format: string;
  readonly description: string;
  /** 0 is always shown, more only with `-o wide`. */
  readonly priority: number;
  /** What it shows of an object at `now` (ms since 1970); null is nothing. */
  readonly cell: (object: ApiObject, now: number) => string | number | boolean | null;
}

/** The column that all tables of objects begin with. */
export const NAME_COLUMN: Column = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Name of the object, unique among the objects of its kind in its namespace',
  priority: 0,
  cell: (object) => object.metadata.name,
};

/** The column that most tables end with. */
export const AGE_COLUMN: Column = {
  name: 'Age',
  type: 'string',
  format: '',
  description: 'How long ago the object was made',
  priority: 0,
  cell: (object, now) => ageOf(textAt(object, 'metadata', 'creationTimestamp'), now),
};
