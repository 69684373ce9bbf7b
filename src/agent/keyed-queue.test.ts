import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeyedQueue } from './keyed-queue.ts';

test('KeyedQueue runs work of one key in order, and of different keys at once', async () => {
  const queue = new KeyedQueue();
  const seen: string[] = [];
  const gate = Promise.withResolvers<void>();
  const work = (name: string, wait?: Promise<void>) => async (): Promise<string> => {
    seen.push(`${name} begins`);
    await wait;
    seen.push(`${name} ends`);
    return name;
  };
  const all = [queue.run('a', work('a1', gate.promise)), queue.run('a', work('a2')), queue.run('b', work('b1'))];
  assert.equal(await all[2], 'b1');
  assert.deepEqual(seen, ['a1 begins', 'b1 begins', 'b1 ends']);
  gate.resolve();
  assert.deepEqual(await Promise.all(all), ['a1', 'a2', 'b1']);
  assert.deepEqual(seen.slice(3), ['a1 ends', 'a2 begins', 'a2 ends']);
  assert.equal(queue.size, 0);
});

test('KeyedQueue goes on after work that fails, and tells only its caller', async () => {
  const queue = new KeyedQueue();
  const failed = queue.run('a', () => Promise.reject(new Error('no')));
  const next = queue.run('a', () => Promise.resolve(5));
  await assert.rejects(failed, /no/);
  assert.equal(await next, 5);
  assert.equal(queue.size, 0);
});
