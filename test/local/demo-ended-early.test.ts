import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, suite, test } from 'node:test';

import { clusterStatus } from '../../src/local/status.ts';
import { clusterLayout } from '../../src/local/cluster-layout.ts';
import { NAMESPACES, PODS } from '../../src/objects/resources.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { CHECKOUT, peopleClient } from './test-cluster.ts';

const NAME = `rt-${process.pid}-early`;
const LAYOUT = clusterLayout(NAME, 1);
const skip = process.getuid?.() === 0 ? false : 'needs root';

interface Call {
  readonly said: () => string;
  readonly kill: (signal: NodeJS.Signals) => void;
  readonly status: Promise<number | null>;
}

/** Calls the program as a person does, from the checkout. */
function romana(...words: readonly string[]): Call {
  const child = spawn(`${CHECKOUT}/bin/romana`, words, {
    cwd: CHECKOUT,
    env: { PATH: process.env['PATH'] },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (said += text));
  const status = new Promise<number | null>((resolve) => child.once('close', resolve));
  return { said: () => said, kill: (signal) => void child.kill(signal), status };
}

async function podNames(): Promise<readonly string[]> {
  const client = peopleClient(LAYOUT);
  try {
    return (await clusterStatus(LAYOUT, client)).pods.map(({ namespace, name }) => `${namespace}/${name}`);
  } finally {
    await client.close();
  }
}

suite('a demo that does not come to its end', { skip }, () => {
  before(async () => {
    const up = romana('local', 'up', '--name', NAME, '--minions', '1');
    assert.equal(await up.status, 0, up.said());
  });
  after(async () => {
    assert.equal(await romana('local', 'down', '--name', NAME).status, 0);
  });

  for (const [signal, step, expected] of [
    ['SIGINT', '2. Out of the box', 130],
    ['SIGTERM', '8. Isolation off', 143],
  ] as const) {
    test(`${signal} in step "${step}": what it made is removed, what it turned is put back`, async () => {
      const demo = romana('demo', '--name', NAME);
      try {
        await waitFor('the step', () => demo.said().includes(step), { timeoutMs: 40_000 });
      } finally {
        demo.kill(signal);
      }
      assert.equal(await demo.status, expected, demo.said());
      assert.match(demo.said(), new RegExp(`romana demo: ended early by ${signal}; what it had made is removed\n$`));
      assert.deepEqual(await podNames(), []);
      const client = peopleClient(LAYOUT);
      const tenant = await client.get(NAMESPACES, 'tenant-a');
      await client.close();
      assert.match(JSON.stringify(tenant), /network-isolation":"on"/);
    });
  }

  test("a pod of the demo's name is left alone, and one line says so", async () => {
    const client = peopleClient(LAYOUT);
    try {
      await client.create(PODS, {
        metadata: { name: 'first', namespace: 'default' },
        spec: {
          terminationGracePeriodSeconds: 1,
          containers: [{ name: 'a', image: 'any', command: ['sleep', '1000'] }],
        },
      });
      const demo = romana('demo', '--name', NAME);
      assert.equal(await demo.status, 1);
      assert.match(
        demo.said(),
        /\nromana demo: could not make what the demo needs: pods "first" already exists; [^\n]+\n$/,
      );
      assert.deepEqual(await podNames(), ['default/first']);
    } finally {
      await client.delete(PODS, 'first', { namespace: 'default' });
      await client.close();
    }
  });

  test('a call that could not be done says so in one line, without a stack', async () => {
    for (const [words, line] of [
      [['exec', '--name', NAME, 'nobody', '--', 'true'], 'romana exec: pods "nobody" not found\n'],
      [
        ['demo', '--name', `${NAME}-not`],
        new RegExp(`^romana demo: no local cluster is named "${NAME}-not" [^\n]+\n$`),
      ],
      [['ip', '--name', `${NAME}-not`, '10.1.17.3'], new RegExp(`^romana ip: no local cluster is named [^\n]+\n$`)],
    ] as const) {
      const call = romana(...words);
      assert.notEqual(await call.status, 0);
      if (typeof line === 'string') assert.equal(call.said(), line);
      else assert.match(call.said(), line);
    }
  });
});
