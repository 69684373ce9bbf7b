import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '../addr/address.ts';
import { FakeKubeClient } from '../kube/fake-client.ts';
import { identityOf } from '../kube/json.ts';
import { systemClock } from '../lib/clock.ts';
import { silentLog } from '../lib/log.ts';
import { unwrap } from '../lib/result.ts';
import { waitFor } from '../lib/wait-for.ts';
import { parsePolicyTrace, policyTraceToJson, type TraceAnswer, type TraceQuestion } from '../objects/policy-trace.ts';
import { POLICY_TRACES } from '../objects/resources.ts';
import { PolicyTraces } from './policy-traces.ts';

const [from, to] = ['10.1.17.3', '10.2.17.3'].map((text) => unwrap(parseAddress(text)));
assert.ok(from !== undefined && to !== undefined);
const ANSWER: TraceAnswer = { verdict: 'allow', message: 'so it is', path: ['forward'] };
const LONG = 'n'.repeat(70);

function question(host: string, port = 80): TraceQuestion {
  return { host, direction: 'egress', from: from ?? assert.fail(), to: to ?? assert.fail(), protocol: 'TCP', port };
}

/** Runs the answering of a host while `use` does. */
async function answering(
  node: string,
  trace: (question: TraceQuestion) => TraceAnswer,
  use: (client: FakeKubeClient) => Promise<void>,
): Promise<void> {
  const client = new FakeKubeClient();
  const stop = new AbortController();
  const running = new PolicyTraces({ client, node, trace, clock: systemClock, log: silentLog }).run(stop.signal);
  try {
    await use(client);
  } finally {
    stop.abort();
    await running;
  }
}

async function ask(client: FakeKubeClient, asked: TraceQuestion): Promise<string> {
  return identityOf(await client.create(POLICY_TRACES, policyTraceToJson(asked))).name;
}

const answerOf = async (client: FakeKubeClient, name: string): Promise<TraceAnswer | undefined> =>
  unwrap(parsePolicyTrace(await client.get(POLICY_TRACES, name))).answer;

test('PolicyTraces answers what its own host is asked, each question once', async () => {
  const asked: TraceQuestion[] = [];
  const trace = (one: TraceQuestion): TraceAnswer => {
    asked.push(one);
    return ANSWER;
  };
  await answering(LONG + 'a', trace, async (client) => {
    // Their labels are the same, which end before the names do.
    const [own, others] = [await ask(client, question(`${LONG}a`)), await ask(client, question(`${LONG}b`))];
    assert.deepEqual(await waitFor('the answer', () => answerOf(client, own)), ANSWER);
    const second = await ask(client, question(`${LONG}a`, 81));
    await waitFor('another answer', () => answerOf(client, second));
    assert.equal(await answerOf(client, others), undefined);
    assert.deepEqual(
      asked.map(({ port }) => port),
      [80, 81],
    );
    assert.deepEqual(
      client.calls.filter(({ verb }) => verb === 'patch').map(({ key }) => key),
      [own, second],
    );
  });
});

function refused(): TraceAnswer {
  throw new Error('cannot list chain inet romana forward: EINTR');
}

test('PolicyTraces says that it cannot tell, where the kernel cannot be asked', async () => {
  await answering('n1', refused, async (client) => {
    const name = await ask(client, question('n1'));
    const answer = await waitFor('the answer', () => answerOf(client, name));
    assert.deepEqual(answer, {
      verdict: 'unknown',
      message: 'cannot list chain inet romana forward: EINTR',
      path: [],
    });
  });
});
