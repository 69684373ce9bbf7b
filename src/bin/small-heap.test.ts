import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';

/** What a process of its own says, as JSON. */
function saysOf(program: string): unknown {
  const words = ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', program];
  return JSON.parse(execFileSync(process.execPath, words, { cwd: import.meta.dirname, encoding: 'utf8' }));
}

/** Makes much and throws it away, and says how large the young generation has become. */
const CHURN = `
  import { getHeapSpaceStatistics } from 'node:v8';
  const kept = [];
  for (let n = 0; n < 1_000_000; n++) kept[n % 50_000] = { n, text: 'text ' + n };
  console.log(getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space').space_size);
`;

void test('letYoungGrow: the young generation grows with the work', () => {
  const bytes = saysOf(`
    import { keepYoungSmall, letYoungGrow } from './small-heap.ts';
    keepYoungSmall();
    letYoungGrow();
    ${CHURN}
  `);
  assert.ok(Number(bytes) > 8 * 2 ** 20, `${String(bytes)} bytes`);
});

void test('keepYoungSmall: however much is made and thrown away, the young generation stays small', () => {
  const bytes = saysOf(`
    import { keepYoungSmall } from './small-heap.ts';
    keepYoungSmall();
    ${CHURN}
  `);
  assert.ok(Number(bytes) <= 4 * 2 ** 20, `${String(bytes)} bytes`);
});

void test('the agent loads of Node and of packages what it uses: no second HTTP client, no push gateway', () => {
  const loaded = saysOf(`
    import { createRequire } from 'node:module';
    import './agent.ts';
    import { undici } from '../kube/undici.ts';
    import { startHealthServer } from '../lib/health-server.ts';
    const health = await startHealthServer({ port: 0, host: '127.0.0.1', metrics: async () => '', notReady: () => '' });
    await new (undici().Agent)().request({ origin: 'http://127.0.0.1:' + health.port, path: '/', method: 'GET' });
    const files = Object.keys(createRequire(import.meta.url).cache);
    console.log(JSON.stringify([...process.moduleLoadList, ...files]));
    process.exit();
  `) as readonly string[];
  assert.ok(loaded.some((name) => name.endsWith('/undici/lib/dispatcher/agent.js')));
  assert.ok(loaded.some((name) => name.endsWith('/prom-client/lib/registry.js')));
  const unwanted = /deps\/undici|\/undici\/index\.js|\/prom-client\/index\.js|\/@kubernetes\//;
  assert.deepEqual(
    loaded.filter((name) => unwanted.test(name)),
    [],
  );
});
