import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../lib/fake-clock.ts';
import { silentLog } from '../lib/log.ts';
import { DeniedListener } from './denied-listener.ts';
import { AgentMetrics } from './metrics.ts';

test('DeniedListener without a group listens to nothing, and no metric says that it should', async () => {
  const metrics = new AgentMetrics();
  const clock = new FakeClock();
  const listener = new DeniedListener({
    group: undefined,
    nft: { check: () => assert.fail('nothing is tried') },
    onPacket: () => undefined,
    onChange: () => assert.fail('nothing changes'),
    metrics,
    clock,
    log: silentLog,
  });
  await clock.advance(60_000);
  assert.equal(listener.group, undefined);
  assert.doesNotMatch(await metrics.registry.metrics(), /^romana_agent_denied_listening/m);
  listener.close();
});
