import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { Backoff } from '../lib/backoff.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { silentLog } from '../lib/log.ts';
import { err, ok } from '../lib/result.ts';
import { waitFor } from '../lib/wait-for.ts';
import type { Parsed } from '../objects/meta.ts';
import { NAMESPACES } from '../objects/resources.ts';
import { HttpKubeClient, type HttpLimits } from './http-client.ts';
import { asRecord, asText, identityOf } from './json.ts';
import { ABSENT_MS, commonVersion, MAX_RETRY_AFTER_MS, Reflector, type ReflectorOptions } from './reflector.ts';
import type { KeptCopy } from './kept-copy.ts';
import {
  type Answer,
  eventLine,
  json,
  listOf,
  namespaceJson,
  type ScriptedServer,
  scriptedServer,
  statusJson,
  watchOf,
} from './scripted-server.ts';

interface Thing {
  readonly meta: { readonly name: string; readonly uid: string; readonly resourceVersion: string };
  readonly color: string;
}

/** Reads a namespace's colour; `bad` is one that can't be read. */
function parseThing(value: unknown): Parsed<Thing> {
  const { name, uid, resourceVersion } = identityOf(value);
  const color = asText(asRecord(asRecord(asRecord(value)?.['metadata'])?.['labels'])?.['color']);
  if (color === 'bad') return err([{ field: 'metadata.labels.color', message: 'is bad' }]);
  return ok({ meta: { name, uid, resourceVersion }, color });
}

interface Run {
  readonly server: ScriptedServer;
  readonly reflector: Reflector<Thing>;
  /** The keys of each call of onChange, sorted. */
  readonly changes: string[][];
  readonly clock: FakeClock;
  /** Moves the clock on until the condition holds. */
  readonly until: (what: string, condition: () => boolean) => Promise<void>;
}

async function run(
  t: TestContext,
  answers: readonly Answer[],
  limits: Partial<HttpLimits> = {},
  more: Pick<ReflectorOptions<Thing>, 'optional' | 'copy'> = {},
): Promise<Run> {
  const server = await scriptedServer(...answers);
  const client = new HttpKubeClient({ server: server.url }, limits);
  const clock = new FakeClock();
  const changes: string[][] = [];
  const reflector = new Reflector({
    client,
    resource: NAMESPACES,
    parse: parseThing,
    ...more,
    onChange: (keys) => changes.push([...keys].toSorted()),
    clock,
    backoff: new Backoff({ initialMs: 50, maxMs: 1_000 }, () => 1),
    log: silentLog,
    random: () => 0,
  });
  const stop = new AbortController();
  const stopped = reflector.start(stop.signal);
  t.after(async () => {
    stop.abort();
    await stopped;
    await client.close();
    await server.close();
  });
  const until = async (what: string, condition: () => boolean): Promise<void> => {
    const step = async (): Promise<boolean> => {
      if (!condition() && clock.sleeping > 0) await clock.advance(10);
      return condition();
    };
    await waitFor(what, step, { everyMs: 1 });
  };
  return { server, reflector, changes, clock, until };
}

function watchesOf(server: ScriptedServer): (string | null)[] {
  return server.seen.filter((s) => s.query.has('watch')).map((s) => s.query.get('resourceVersion'));
}

void test('Reflector lists, then watches from the version of the list, asking for bookmarks', async (t) => {
  const { server, reflector, changes } = await run(t, [
    listOf('10', namespaceJson('a', '3'), namespaceJson('b', '7')),
    watchOf([eventLine('ADDED', namespaceJson('c', '11')), eventLine('DELETED', namespaceJson('a', '12'))], 'hold'),
  ]);
  await reflector.whenSynced(AbortSignal.timeout(5_000));
  assert.deepEqual(changes, [['a', 'b']]);
  await waitFor('the events', () => !reflector.store.has('a') && changes.length > 1);
  assert.deepEqual([...reflector.store.keys()], ['b', 'c']);
  assert.deepEqual(changes.slice(1).flat().toSorted(), ['a', 'c']);
  const watch = server.seen[1]?.query;
  assert.equal(watch?.get('resourceVersion'), '10');
  assert.equal(watch?.get('allowWatchBookmarks'), 'true');
  assert.equal(watch?.get('timeoutSeconds'), '300');
});

void test('Reflector resumes from the last version, bookmarks included, when a watch is cut', async (t) => {
  const { server, reflector, until } = await run(t, [
    listOf('10', namespaceJson('a', '3')),
    watchOf([eventLine('MODIFIED', namespaceJson('a', '11', 'red'))], 'cut'),
    watchOf([eventLine('BOOKMARK', { metadata: { resourceVersion: '20' } })], 'end'),
    watchOf([eventLine('MODIFIED', namespaceJson('a', '21', 'blue'))], 'hold'),
  ]);
  await until('the last event', () => reflector.store.get('a')?.color === 'blue');
  assert.deepEqual(watchesOf(server), ['10', '11', '20']);
  assert.equal(server.seen.length, 4, 'no second list');
});

void test('Reflector drops half a line of a cut watch and gets the event from the next watch', async (t) => {
  const line = eventLine('ADDED', namespaceJson('b', '11'));
  const { server, reflector, until } = await run(t, [
    listOf('10'),
    watchOf([line.slice(0, 30)], 'cut'),
    watchOf([line.slice(0, 30), line.slice(30)], 'hold'),
  ]);
  await until('the object', () => reflector.store.has('b'));
  assert.deepEqual(watchesOf(server), ['10', '10']);
});

void test('Reflector lists again after 410 and reports only what differs', async (t) => {
  const { reflector, changes, until } = await run(t, [
    listOf('10', namespaceJson('a', '1'), namespaceJson('b', '2'), namespaceJson('c', '3'), namespaceJson('d', '4')),
    watchOf([eventLine('ERROR', statusJson(410, 'Expired', 'too old resource version'))], 'end'),
    // c is only newer, d means something else, b is gone.
    listOf('20', namespaceJson('a', '1'), namespaceJson('c', '15'), namespaceJson('d', '16', 'red')),
    watchOf([], 'hold'),
  ]);
  await until('the second list', () => changes.length === 2);
  assert.deepEqual(changes[1], ['b', 'd']);
  assert.equal(reflector.store.get('c')?.meta.resourceVersion, '15');
});

void test('Reflector lists again when the answer to the watch itself is 410', async (t) => {
  const { server, reflector, until } = await run(t, [
    listOf('10'),
    json(statusJson(410, 'Expired', 'too old'), 410),
    listOf('30', namespaceJson('a', '29')),
    watchOf([], 'hold'),
  ]);
  await until('the second list', () => reflector.store.has('a'));
  await until('the second watch', () => watchesOf(server).length === 2);
  assert.deepEqual(watchesOf(server), ['10', '30']);
});

void test('Reflector keeps what it has through errors 500 and resumes without a list', async (t) => {
  const failure = json(statusJson(500, 'InternalError', 'etcd is unwell'), 500);
  const { server, reflector, until } = await run(t, [
    listOf('10', namespaceJson('a', '3')),
    failure,
    failure,
    failure,
    watchOf([eventLine('ADDED', namespaceJson('b', '11'))], 'hold'),
  ]);
  await until('the event', () => reflector.store.has('b'));
  assert.deepEqual([...reflector.store.keys()], ['a', 'b']);
  assert.deepEqual(watchesOf(server), ['10', '10', '10', '10']);
});

void test('Reflector starts again from a list when the server refuses one version for ever', async (t) => {
  const garbage = watchOf(['not json\n'], 'hold');
  const { server, reflector, until } = await run(t, [
    listOf('10'),
    ...[1, 2, 3, 4, 5].map(() => garbage),
    listOf('40', namespaceJson('a', '39')),
    watchOf([], 'hold'),
  ]);
  await until('the second list', () => reflector.store.has('a'));
  assert.deepEqual(watchesOf(server).slice(0, 5), ['10', '10', '10', '10', '10']);
});

void test('Reflector waits as long as Retry-After of a 429 asks', async (t) => {
  const { server, reflector, clock } = await run(t, [
    json(statusJson(429, 'TooManyRequests', 'busy'), 429, { 'retry-after': '1' }),
    listOf('10'),
    watchOf([], 'hold'),
  ]);
  await waitFor('the wait', () => clock.sleeping === 1);
  await clock.advance(999);
  assert.equal(server.seen.length, 1);
  await clock.advance(1);
  await reflector.whenSynced(AbortSignal.timeout(5_000));
});

void test('Reflector does not wait longer than its bound for a Retry-After of an hour', async (t) => {
  const { reflector, clock } = await run(t, [
    json(statusJson(429, 'TooManyRequests', 'busy'), 429, { 'retry-after': '3600' }),
    listOf('10'),
    watchOf([], 'hold'),
  ]);
  await waitFor('the wait', () => clock.sleeping === 1);
  await clock.advance(MAX_RETRY_AFTER_MS);
  await reflector.whenSynced(AbortSignal.timeout(5_000));
});

const cutOff: Answer = (_seen, response) => response.destroy();

void test('Reflector begins anew at once when the server is back after a silence, however long it was away', async (t) => {
  const { server, reflector, clock, until } = await run(
    t,
    [
      listOf('10'),
      ...Array<Answer>(8).fill(cutOff),
      watchOf([], 'hold'),
      watchOf([eventLine('ADDED', namespaceJson('a', '11'))], 'hold'),
    ],
    { pulseMs: 10, pulseAnswerMs: 50 },
  );
  await until('the watch that stays', () => server.seen.length === 10);
  let asked = 0;
  server.pulse = (seen, response) => {
    asked += 1;
    if (asked > 1) json({})(seen, response);
  };
  const from = clock.now();
  await until('the event of the next watch', () => reflector.store.has('a'));
  assert.ok(clock.now() - from <= 60, `waited ${clock.now() - from} ms, as if the server were away still`);
});

void test('Reflector resumes a watch that has been silent for too long', async (t) => {
  const { server, reflector, until } = await run(
    t,
    [listOf('10'), watchOf([], 'hold'), watchOf([eventLine('ADDED', namespaceJson('a', '11'))], 'hold')],
    { idleMs: 50 },
  );
  await until('the event of the second watch', () => reflector.store.has('a'));
  assert.deepEqual(watchesOf(server).slice(0, 2), ['10', '10']);
});

void test('Reflector backs off, within its bound, from a server that is away', async (t) => {
  const { server, clock, until } = await run(t, [cutOff]);
  const from = clock.now();
  await until('eight tries', () => server.seen.length >= 8);
  const waited = clock.now() - from;
  // 50 + 100 + 200 + 400 + 800 + 1000 + 1000 ms; `until` moves on by steps of 10 ms and may be a few ahead.
  assert.ok(waited >= 3_550 && waited < 5_000, `waited ${waited} ms`);
});

void test('Reflector backs off from a server that ends every watch at once', async (t) => {
  const { server, clock, until } = await run(t, [listOf('10'), watchOf([], 'end')]);
  await until('five watches', () => watchesOf(server).length >= 5);
  assert.ok(clock.now() >= 50 + 100 + 200 + 400, `only ${clock.now()} ms`);
});

void test('Reflector keeps an object that cannot be read out of the store until it can', async (t) => {
  const { reflector, changes, until } = await run(t, [
    listOf('10', namespaceJson('a', '3', 'bad'), namespaceJson('b', '4')),
    watchOf(
      [eventLine('MODIFIED', namespaceJson('b', '11', 'bad')), eventLine('MODIFIED', namespaceJson('a', '12', 'red'))],
      'hold',
    ),
  ]);
  await reflector.whenSynced();
  assert.deepEqual(changes[0], ['a', 'b']);
  await until('the events', () => reflector.store.has('a'));
  assert.deepEqual([...reflector.store.keys()], ['a']);
  assert.deepEqual([...reflector.invalid.entries()], [['b', [{ field: 'metadata.labels.color', message: 'is bad' }]]]);
});

void test('Reflector says nothing of an object of which only the version changed', async (t) => {
  const { reflector, changes, until } = await run(t, [
    listOf('10', namespaceJson('a', '3')),
    watchOf([eventLine('MODIFIED', namespaceJson('a', '11')), eventLine('ADDED', namespaceJson('b', '12'))], 'hold'),
  ]);
  await until('the events', () => changes.length === 2);
  assert.deepEqual(changes, [['a'], ['b']]);
  assert.equal(reflector.store.get('a')?.meta.resourceVersion, '11');
});

void test('Reflector lists again when a bookmark shows that a backup took over', async (t) => {
  const { reflector, until } = await run(t, [
    listOf('100', namespaceJson('a', '90')),
    watchOf([eventLine('BOOKMARK', { metadata: { resourceVersion: '60' } })], 'hold'),
    listOf('61', namespaceJson('b', '50')),
    watchOf([], 'hold'),
  ]);
  await until('the second list', () => reflector.store.has('b'));
  assert.deepEqual([...reflector.store.keys()], ['b']);
});

void test('Reflector lists again when the server that it comes back to has not come as far: a backup took over', async (t) => {
  const { server, reflector, until } = await run(t, [
    listOf('500', namespaceJson('a', '480')),
    watchOf([], 'cut'),
    // What comes in the place of a watch from 500, which would be silent.
    listOf('40', namespaceJson('b', '30')),
    watchOf([eventLine('ADDED', namespaceJson('c', '41'))], 'hold'),
  ]);
  server.version = listOf('40');
  await until('the second list', () => reflector.store.has('b') && reflector.store.has('c'));
  assert.deepEqual(
    [[...reflector.store.keys()], watchesOf(server)],
    [
      ['b', 'c'],
      ['500', '40'],
    ],
  );
});

void test('Reflector.whenSynced rejects when its signal is aborted first', async (t) => {
  const { reflector } = await run(t, [() => undefined]);
  const abort = new AbortController();
  const synced = reflector.whenSynced(abort.signal);
  abort.abort(new Error('enough'));
  await assert.rejects(synced, /enough/);
  assert.equal(reflector.synced, false);
});

void test('Reflector.relist lists afresh at once, without a wait, and has no version until then', async (t) => {
  const { server, reflector } = await run(t, [
    listOf('10', namespaceJson('a', '3')),
    watchOf([], 'hold'),
    listOf('5', namespaceJson('b', '4')),
    watchOf([], 'hold'),
  ]);
  await waitFor('the watch', () => server.seen.length === 2);
  reflector.relist();
  assert.equal(reflector.version, undefined);
  await waitFor('the new list', () => reflector.version === '5');
  assert.deepEqual([...reflector.store.keys()], ['b']);
  await waitFor('the new watch', () => watchesOf(server).length === 2);
  assert.deepEqual(watchesOf(server), ['10', '5']);
});

const ABSENT = json(statusJson(404, 'NotFound', 'the server could not find the requested resource'), 404);

void test('Reflector of an optional kind takes one that is not served for one without objects, and finds it later', async (t) => {
  const { server, reflector, clock, until } = await run(
    t,
    [ABSENT, ABSENT, listOf('10', namespaceJson('a', '3')), watchOf([], 'hold')],
    {},
    { optional: true },
  );
  await reflector.whenSynced(AbortSignal.timeout(5_000));
  assert.deepEqual([reflector.absent, reflector.store.size], [true, 0]);
  // It holds up nobody's version.
  assert.equal(commonVersion([reflector, { version: '7' }]), 7);
  await clock.advance(ABSENT_MS - 1);
  assert.equal(server.seen.length, 1);
  await clock.advance(1);
  await waitFor('the second time', () => server.seen.length === 2);
  await waitFor('the wait', () => clock.sleeping > 0);
  await clock.advance(ABSENT_MS);
  await until('the object', () => reflector.store.has('a'));
  assert.equal(reflector.absent, false);
});

void test('Reflector of an optional kind that was served gives up what it holds only when the server insists', async (t) => {
  const { server, reflector, until } = await run(
    t,
    [listOf('10', namespaceJson('a', '3')), ...Array.from({ length: 7 }, () => ABSENT)],
    {},
    { optional: true },
  );
  await until('the third answer', () => server.seen.length >= 3);
  assert.deepEqual([reflector.absent, reflector.store.size], [false, 1]);
  await until('the end of it', () => reflector.absent);
  assert.equal(reflector.store.size, 0);
});

void test('Reflector of an optional kind holds what was known before its start until the server insists', async (t) => {
  const copy: KeptCopy = {
    recall: () => [namespaceJson('a', '3')],
    begin: () => undefined,
    note: () => undefined,
    complete: () => undefined,
    put: () => undefined,
    remove: () => undefined,
  };
  const answers = Array.from({ length: 7 }, () => ABSENT);
  const { server, reflector, until } = await run(t, answers, {}, { optional: true, copy });
  await until('the third answer', () => server.seen.length >= 3);
  assert.deepEqual([reflector.absent, reflector.store.size], [false, 1]);
  await until('the end of it', () => reflector.absent);
  assert.equal(reflector.store.size, 0);
});
