import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { ApiObject } from './api-object.ts';
import { expired } from './status-error.ts';

/** What a write did to an object. */
export type ChangeType = 'ADDED' | 'MODIFIED' | 'DELETED';

/** One write, as watches see it. Nobody may change the objects in it. */
export interface Change {
  readonly version: number;
  /** The storage key of the kind. */
  readonly kind: string;
  readonly type: ChangeType;
  readonly object: ApiObject;
  /** `object` as JSON text. */
  readonly text: string;
  /** The object before; undefined for ADDED. */
  readonly previous: ApiObject | undefined;
}

/** One object of a list: where it stands in the order and its JSON text. */
export interface Row {
  readonly namespace: string;
  readonly name: string;
  readonly text: string;
}

/** What part of a kind to list, in the order of namespace and name. */
export interface Range {
  readonly namespace?: string | undefined;
  /** Begin after this object. */
  readonly after?: { readonly namespace: string; readonly name: string } | undefined;
  /** The version whose state is wanted; today's when not given. */
  readonly version?: number | undefined;
  /** Objects at most; all when not given. */
  readonly limit?: number | undefined;
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS objects (
    kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, uid TEXT NOT NULL, version INTEGER NOT NULL,
    json TEXT NOT NULL, PRIMARY KEY (kind, namespace, name)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS changes (
    version INTEGER PRIMARY KEY, kind TEXT NOT NULL, type TEXT NOT NULL, json TEXT NOT NULL, previous TEXT
  ) STRICT;
  CREATE INDEX IF NOT EXISTS changes_by_kind ON changes (kind, version);`;

interface ChangeRow {
  version: number;
  kind: string;
  type: ChangeType;
  json: string;
  previous: string | null;
}

function compareRows(a: Row, b: Row): number {
  if (a.namespace !== b.namespace) return a.namespace < b.namespace ? -1 : 1;
  if (a.name === b.name) return 0;
  return a.name < b.name ? -1 : 1;
}

class DryRun extends Error {}

/**
 * The objects and the last changes to them in one SQLite database. Every write raises the version by one, across
 * restarts, and belongs to a transaction; what a transaction changed is told to `onChange` when it is committed.
 */
export class Store {
  onChange: (change: Change) => void = () => undefined;
  readonly #db: DatabaseSync;
  readonly #history: number;
  readonly #sql: Record<'get' | 'put' | 'drop' | 'log' | 'prune' | 'all' | 'some' | 'since', StatementSync>;
  #version: number;
  #open: Change[] | undefined;

  /**
   * @param path a file, or `:memory:`.
   * @param historyLimit how many changes are kept for watches.
   */
  constructor(path: string, historyLimit = 2_000) {
    this.#db = new DatabaseSync(path);
    this.#history = historyLimit;
    // A killed process loses nothing with synchronous=NORMAL in WAL; only a machine's power cut could.
    this.#db.exec(`PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; ${SCHEMA}`);
    this.#sql = {
      get: this.#db.prepare('SELECT json FROM objects WHERE kind=? AND namespace=? AND name=?'),
      put: this.#db.prepare(
        'INSERT INTO objects (kind, namespace, name, uid, version, json) VALUES (?,?,?,?,?,?) ' +
          'ON CONFLICT DO UPDATE SET uid=excluded.uid, version=excluded.version, json=excluded.json',
      ),
      drop: this.#db.prepare('DELETE FROM objects WHERE kind=? AND namespace=? AND name=?'),
      log: this.#db.prepare('INSERT INTO changes (version, kind, type, json, previous) VALUES (?,?,?,?,?)'),
      prune: this.#db.prepare('DELETE FROM changes WHERE version <= ?'),
      all: this.#db.prepare(
        'SELECT namespace, name, json AS text FROM objects WHERE kind=? AND (namespace, name) > (?,?) ' +
          'ORDER BY namespace, name LIMIT ?',
      ),
      some: this.#db.prepare(
        'SELECT namespace, name, json AS text FROM objects WHERE kind=? AND namespace=? AND name > ? ORDER BY name LIMIT ?',
      ),
      since: this.#db.prepare('SELECT * FROM changes WHERE kind=? AND version > ? ORDER BY version'),
    };
    const last = this.#db.prepare('SELECT MAX(version) AS version FROM changes').get();
    this.#version = typeof last?.['version'] === 'number' ? last['version'] : 0;
  }

  /** The version of the last write. */
  get version(): number {
    return this.#version;
  }

  /** The object, or undefined; the caller may change what it gets. */
  get(kind: string, namespace: string, name: string): ApiObject | undefined {
    const row = this.#sql.get.get(kind, namespace, name);
    return row === undefined ? undefined : (JSON.parse(String(row['json'])) as ApiObject);
  }

  /** Writes an object that is new, or in place of `previous`; sets its resourceVersion. */
  put(kind: string, object: ApiObject, previous?: ApiObject): ApiObject {
    const text = this.#record(kind, previous === undefined ? 'ADDED' : 'MODIFIED', object, previous);
    const { namespace = '', name, uid } = object.metadata;
    this.#sql.put.run(kind, namespace, name, uid, this.#version, text);
    return object;
  }

  /** Removes an object; `last` is how watches see it go, and gets the version of the removal. */
  remove(kind: string, last: ApiObject, previous: ApiObject): ApiObject {
    this.#record(kind, 'DELETED', last, previous);
    this.#sql.drop.run(kind, last.metadata.namespace ?? '', last.metadata.name);
    return last;
  }

  /**
   * Runs `body` in one transaction; all of its writes happen or, when it throws, none.
   *
   * @param dryRun the result is returned but nothing is written.
   */
  transaction<T>(body: () => T, dryRun = false): T {
    const version = this.#version;
    const changes: Change[] = [];
    this.#open = changes;
    let result: T | undefined;
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      result = body();
      if (dryRun) throw new DryRun();
      this.#sql.prune.run(this.#version - this.#history);
      this.#db.exec('COMMIT');
    } catch (error) {
      this.#db.exec('ROLLBACK');
      this.#version = version;
      // After `body` returned only the commit can fail, and that is no DryRun.
      if (error instanceof DryRun) return result as T;
      throw error;
    } finally {
      this.#open = undefined;
    }
    for (const change of changes) this.onChange(change);
    return result;
  }

  /** The objects of a kind in order, as they are or as they were at `range.version`. @throws StatusError 410 */
  list(kind: string, range: Range = {}): readonly Row[] {
    const { namespace, after = { namespace: namespace ?? '', name: '' }, version, limit = -1 } = range;
    const today = version === undefined || version === this.#version;
    // Rows that are gone today may come before the limit in another version.
    const bound = today ? limit : -1;
    const rows = (namespace === undefined
      ? this.#sql.all.all(kind, after.namespace, after.name, bound)
      : this.#sql.some.all(kind, namespace, after.name, bound)) as unknown as Row[];
    return today ? rows : this.#asOf(kind, rows, version, { namespace, after });
  }

  /** The changes to a kind after `version`, oldest first. @throws StatusError 410 */
  changesSince(kind: string, version: number): Change[] {
    if (version < this.#version - this.#history || version > this.#version)
      throw expired(`too old resource version: ${version} (${this.#version})`);
    const rows = this.#sql.since.all(kind, version) as unknown as ChangeRow[];
    return rows.map((row) => ({
      version: row.version,
      kind: row.kind,
      type: row.type,
      object: JSON.parse(row.json) as ApiObject,
      text: row.json,
      previous: row.previous === null ? undefined : (JSON.parse(row.previous) as ApiObject),
    }));
  }

  close(): void {
    this.#db.close();
  }

  #record(kind: string, type: ChangeType, object: ApiObject, previous: ApiObject | undefined): string {
    if (this.#open === undefined) throw new Error(`write to ${kind} outside a transaction`);
    this.#version++;
    object.metadata.resourceVersion = String(this.#version);
    const text = JSON.stringify(object);
    this.#sql.log.run(this.#version, kind, type, text, previous === undefined ? null : JSON.stringify(previous));
    this.#open.push({ version: this.#version, kind, type, object, text, previous });
    return text;
  }

  /** Takes the changes after a version back from today's rows. */
  #asOf(kind: string, rows: Row[], version: number, { namespace, after }: Range): Row[] {
    const then = new Map(rows.map((row) => [`${row.namespace}/${row.name}`, row]));
    const seen = new Set<string>();
    for (const change of this.changesSince(kind, version)) {
      const { namespace: ns = '', name } = change.object.metadata;
      const key = `${ns}/${name}`;
      if (seen.has(key)) continue;
      seen.add(key);
      if (change.previous === undefined) then.delete(key);
      else then.set(key, { namespace: ns, name, text: JSON.stringify(change.previous) });
    }
    const start: Row = { namespace: after?.namespace ?? '', name: after?.name ?? '', text: '' };
    return [...then.values()]
      .filter((row) => (namespace === undefined || row.namespace === namespace) && compareRows(row, start) > 0)
      .sort(compareRows);
  }
}
