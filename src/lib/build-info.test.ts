import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from './prometheus.ts';
import { buildInfo } from './build-info.ts';

test('buildInfo tells the version by a label', async () => {
  const registry = new Registry();
  buildInfo(registry, '1.2.3');
  assert.match(await registry.metrics(), /^romana_build_info\{version="1\.2\.3"\} 1$/m);
});
