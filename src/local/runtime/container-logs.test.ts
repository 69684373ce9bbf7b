import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import { waitFor } from '../../lib/wait-for.ts';
import { writeLog } from './container-logs.ts';

for (const [text, lines, wanted] of [
  ['a\nb\nc\n', undefined, 'a\nb\nc\n'],
  ['a\nb\nc\n', 2, 'b\nc\n'],
  ['a\nb\nc', 2, 'b\nc'],
  ['a\nb\n', 9, 'a\nb\n'],
  ['a\n', 0, ''],
  ['', 3, ''],
] as const) {
  test(`writeLog of ${JSON.stringify(text)} with tailLines ${lines} is ${JSON.stringify(wanted)}`, async (t) => {
    const directory = mkdtempSync(`${tmpdir()}/romana-log-`);
    t.after(() => rmSync(directory, { recursive: true }));
    writeFileSync(`${directory}/log`, text);
    const out = new PassThrough();
    const signal = new AbortController().signal;
    await writeLog(`${directory}/log`, out, {
      tailLines: lines,
      follow: false,
      ended: () => true,
      clock: systemClock,
      signal,
    });
    out.end();
    assert.equal(Buffer.concat(await out.toArray()).toString(), wanted);
  });
}

test('writeLog follows until the container ended, and misses nothing before that', async (t) => {
  const directory = mkdtempSync(`${tmpdir()}/romana-log-`);
  t.after(() => rmSync(directory, { recursive: true }));
  const file = `${directory}/log`;
  writeFileSync(file, 'one\n');
  let ended = false;
  let seen = '';
  const out = new PassThrough();
  out.on('data', (chunk: Buffer) => (seen += chunk.toString()));
  const signal = new AbortController().signal;
  const done = writeLog(file, out, {
    tailLines: undefined,
    follow: true,
    ended: () => ended,
    clock: systemClock,
    signal,
  });
  await waitFor('the first line', () => seen === 'one\n');
  appendFileSync(file, 'two\n');
  await waitFor('the second line', () => seen === 'one\ntwo\n');
  appendFileSync(file, 'three\n');
  ended = true;
  await done;
  await waitFor('the last line', () => seen === 'one\ntwo\nthree\n');
});
