import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import * as fc from 'fast-check';
import { silentLog } from '../lib/log.ts';
import { FileCopy } from './kept-copy.ts';

const directory = mkdtempSync(join(tmpdir(), 'romana-copy-'));
after(() => rmSync(directory, { recursive: true }));
let files = 0;

function newPath(): string {
  files += 1;
  return join(directory, 'deep', `copy${files}`);
}

function copyAt(path: string, maxObjects = 100): FileCopy {
  return new FileCopy({ path, slim: (object) => object, maxObjects, log: silentLog });
}

const thing = (name: string, color = ''): object => ({ metadata: { name, namespace: 'a' }, color });

function list(copy: FileCopy, ...objects: readonly object[]): void {
  copy.begin();
  for (const object of objects) copy.note(object);
  copy.complete(objects.length);
}

test('FileCopy recalls the last list and the changes since', () => {
  const path = newPath();
  assert.equal(copyAt(path).recall(), undefined);
  const copy = copyAt(path);
  list(copy, thing('old'));
  list(copy, thing('one'), thing('two'));
  copy.put(thing('one', 'red'));
  copy.put(thing('three'));
  copy.remove(thing('two'));
  assert.deepEqual(copyAt(path).recall(), [thing('one', 'red'), thing('three')]);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  list(copy);
  assert.deepEqual(copyAt(path).recall(), []);
});

test('FileCopy keeps the last whole list while another comes in, fails and begins again', () => {
  const path = newPath();
  const copy = copyAt(path);
  list(copy, thing('one'));
  copy.begin();
  copy.note(thing('two'));
  assert.deepEqual(copyAt(path).recall(), [thing('one')]);
  copy.begin();
  // The server forgot its snapshot after a page.
  for (const name of ['gone', 'two', 'three']) copy.note(thing(name));
  copy.complete(2);
  assert.deepEqual(copyAt(path).recall(), [thing('two'), thing('three')]);
});

test('FileCopy recalls all but the change that its process died in', () => {
  const path = newPath();
  const copy = copyAt(path);
  list(copy, thing('one'));
  copy.put(thing('two'));
  const whole = readFileSync(path).length;
  copy.put(thing('three'));
  fc.assert(
    fc.property(fc.integer({ min: whole, max: readFileSync(path).length - 1 }), (length) => {
      const cut = newPath();
      appendFileSync(cut, readFileSync(path));
      truncateSync(cut, length);
      assert.deepEqual(copyAt(cut).recall(), [thing('one'), thing('two')]);
    }),
  );
});

test('FileCopy writes its file anew when changes outnumber objects', () => {
  const path = newPath();
  const copy = copyAt(path);
  list(copy, thing('one'));
  let longest = 0;
  for (let n = 0; n < 5_000; n += 1) {
    copy.put(thing('one', String(n)));
    longest = Math.max(longest, statSync(path).size);
  }
  assert.deepEqual(copyAt(path).recall(), [thing('one', '4999')]);
  assert.ok(longest < 150_000, `the file grew to ${longest} bytes`);
});

test('FileCopy keeps no list that is too long, and none where nothing can be written', () => {
  const path = newPath();
  const copy = copyAt(path, 2);
  list(copy, thing('one'));
  list(copy, thing('one'), thing('two'), thing('three'));
  copy.put(thing('four'));
  assert.equal(copyAt(path).recall(), undefined);
  assert.equal(existsSync(path), false);
  // The kernel takes no folder below a file.
  list(copy, thing('one'));
  const nowhere = copyAt(join(path, 'copy'));
  list(nowhere, thing('one'));
  nowhere.put(thing('two'));
  assert.equal(nowhere.recall(), undefined);
});
