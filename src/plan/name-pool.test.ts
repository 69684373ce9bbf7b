import { test } from 'node:test';
import assert from 'node:assert/strict';
import { hashText, NamePool } from './name-pool.ts';

test('hashText is FNV-1a of 32 bits', () => {
  // Test vectors of draft-eastlake-fnv, appendix C.
  assert.equal(hashText(''), '811c9dc5');
  assert.equal(hashText('a'), 'e40c292c');
  assert.equal(hashText('foobar'), 'bf9cf968');
});

test('NamePool gives keys whose hashes collide different names, and a key always its own', () => {
  // A known collision of FNV-1a of 32 bits.
  assert.equal(hashText('costarring'), hashText('liquid'));
  const pool = new NamePool();
  const first = pool.name('in', 'costarring');
  const second = pool.name('in', 'liquid');
  assert.equal(second, `${first}-2`);
  assert.equal(pool.name('in', 'costarring'), first);
  assert.equal(pool.name('in', 'liquid'), second);
});
