import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test, type TestContext } from 'node:test';
import * as fc from 'fast-check';
import { HttpKubeClient } from '../../src/kube/http-client.ts';
import { identityOf } from '../../src/kube/json.ts';
import { Reflector } from '../../src/kube/reflector.ts';
import {
  eventLine,
  listOf,
  namespaceJson,
  scriptedServer,
  type Seen,
  statusJson,
  watchOf,
} from '../../src/kube/scripted-server.ts';
import { Backoff } from '../../src/lib/backoff.ts';
import { silentLog } from '../../src/lib/log.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { parseNamespace } from '../../src/objects/namespace.ts';
import { NAMESPACES } from '../../src/objects/resources.ts';
import { mutantBytes, mutants } from '../support/mutants.ts';

const RUNS = 10_000;
const TRUTH = [namespaceJson('a', '11', 'red'), namespaceJson('b', '12', 'blue')];
const LIST = { kind: 'NamespaceList', metadata: { resourceVersion: '12' }, items: TRUTH };
const STATUS = statusJson(410, 'Expired', 'too old');
const LINES = [
  eventLine('ADDED', namespaceJson('c', '13')) + eventLine('MODIFIED', namespaceJson('a', '14', 'green')),
  eventLine('DELETED', namespaceJson('b', '15')) + eventLine('BOOKMARK', { metadata: { resourceVersion: '16' } }),
  eventLine('ERROR', STATUS),
];
const EVENTS = [
  { type: 'ADDED', object: namespaceJson('c', '13') },
  { type: 'ERROR', object: STATUS },
];
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** What a server may say in place of the truth. */
const bodies = fc.oneof(
  mutants([LIST, TRUTH[0], STATUS]).map((json) => utf8(JSON.stringify(json))),
  mutants(EVENTS).map((json) => utf8(`${JSON.stringify(json)}\n`)),
  mutantBytes([...LINES.map(utf8), utf8(JSON.stringify(LIST)), utf8(JSON.stringify(STATUS))]),
);
const answers = fc.record({
  status: fc.constantFrom(200, 200, 200, 201, 204, 301, 400, 404, 409, 410, 422, 429, 500, 503),
  body: bodies,
  type: fc.constantFrom('application/json', 'text/html', ''),
  /** Whether the connection breaks before the answer's end. */
  cut: fc.boolean(),
});
type Said = typeof answers extends fc.Arbitrary<infer T> ? T : never;

function say({ status, body, type, cut }: Said, response: ServerResponse): void {
  response.writeHead(status, {
    ...(type === '' ? {} : { 'content-type': type }),
    ...(status === 301 ? { location: '/x' } : {}),
  });
  if (!cut) response.end(body);
  else response.write(body, () => response.destroy());
}

type Script = (seen: Seen, response: ServerResponse) => void;

async function hostile(t: TestContext): Promise<{ client: HttpKubeClient; answer: (script: Script) => void }> {
  let script: Script = listOf('1');
  const server = await scriptedServer((seen, response) => script(seen, response));
  const client = new HttpKubeClient({ server: server.url });
  t.after(async () => {
    await client.close();
    await server.close();
  });
  return { client, answer: (next) => void (script = next) };
}

test('whatever a server answers, the client gives what was asked for or rejects with an Error', async (t) => {
  const { client, answer } = await hostile(t);
  let given = 0;
  const calls = {
    list: async () => {
      const { items, resourceVersion } = await client.list(NAMESPACES);
      assert.ok(Array.isArray(items) && typeof resourceVersion === 'string');
    },
    get: async () => {
      assert.equal(typeof (await client.get(NAMESPACES, 'a')), 'object');
    },
    watch: async () => {
      for await (const { type, object } of client.watch(NAMESPACES, { resourceVersion: '12' })) {
        assert.ok(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK'].includes(type));
        assert.equal(typeof identityOf(object).name, 'string');
      }
    },
    patch: async () => {
      assert.equal(typeof (await client.patch(NAMESPACES, 'a', { metadata: { labels: { x: 'y' } } })), 'object');
    },
  };
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...(Object.keys(calls) as (keyof typeof calls)[])),
      answers,
      async (call, said) => {
        answer((_seen, response) => say(said, response));
        try {
          await calls[call]();
          given += 1;
        } catch (error) {
          assert.ok(error instanceof Error && error.message !== '' && !(error instanceof TypeError), String(error));
          if (error instanceof assert.AssertionError) throw error;
        }
      },
    ),
    { numRuns: RUNS },
  );
  assert.ok(given > RUNS / 20, `only ${given} calls were given what they asked for`);
});

test('whatever a server has answered, a reflector has the truth once it is told it', async (t) => {
  const { client, answer } = await hostile(t);
  await fc.assert(
    fc.asyncProperty(fc.array(answers, { minLength: 1, maxLength: 8 }), async (lies) => {
      const left = [...lies];
      answer((seen, response) => {
        const lie = left.shift();
        if (lie !== undefined) say(lie, response);
        else if (seen.query.get('watch') === null) listOf('20', ...TRUTH)(seen, response);
        // What is resumed from a version that was a lie is refused, as a server does.
        else if (seen.query.get('resourceVersion') === '20') watchOf([], 'hold')(seen, response);
        else watchOf([eventLine('ERROR', STATUS)], 'end')(seen, response);
      });
      const end = new AbortController();
      const backoff = new Backoff({ initialMs: 1, maxMs: 2 });
      const namespaces = new Reflector({
        client,
        resource: NAMESPACES,
        parse: parseNamespace,
        backoff,
        log: silentLog,
      });
      const running = namespaces.start(end.signal);
      try {
        await waitFor('the truth', () => left.length === 0 && namespaces.version === '20', { everyMs: 1 });
        assert.deepEqual([...namespaces.store.keys()].toSorted(), ['a', 'b']);
        assert.equal(namespaces.store.get('a')?.meta.labels.get('color'), 'red');
      } finally {
        end.abort();
        await running;
      }
    }),
    { numRuns: RUNS / 20 },
  );
});
