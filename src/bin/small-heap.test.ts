import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';

/** What a process of its own says, as JSON. */
function saysOf(program: string): unknown {
  const words = ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', program];
  return JSON.parse(execFileSync(process.execPath, words, { cwd: import.meta.dirname, encoding: 'utf8' }));
}

void test('fitYoung: however much is made and thrown away, the young generation stays small, but not of a large heap', () => {
  const [small, large] = saysOf(`
    import { getHeapSpaceStatistics } from 'node:v8';
    import { fitYoung } from './small-heap.ts';
    const young = () => getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space').space_size;
    const churn = (kept, objects) => {
      fitYoung();
      for (let n = 0; n < 1_000_000; n++) kept[n % objects] = { n, text: 'text ' + n };
      return young();
    };
    const small = churn([], 50_000);
    const held = [];
    churn(held, 1_000_000);
    console.log(JSON.stringify([small, churn([], 50_000)]));
    process.exitCode = held.length === 1_000_000 ? 0 : 1;
  `) as readonly number[];
  assert.ok(small !== undefined && small <= 4 * 2 ** 20, `${small} bytes`);
  assert.ok(large !== undefined && large > 8 * 2 ** 20, `${large} bytes`);
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
