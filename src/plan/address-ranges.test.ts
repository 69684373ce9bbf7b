import { test } from 'node:test';
import assert from 'node:assert/strict';
import type { Cidr } from '../addr/cidr.ts';
import { cidrElements, rangeElements } from './address-ranges.ts';

const cidr = (text: string): Cidr => text as Cidr;

test('R13: rangeElements takes an exception out of its own range only', () => {
  assert.deepEqual(
    rangeElements(4, [
      { cidr: cidr('10.0.0.0/8'), except: [cidr('10.1.0.0/16')] },
      { cidr: cidr('10.1.2.0/24'), except: [] },
    ]),
    ['10.0.0.0/16', '10.1.2.0/24', '10.2.0.0-10.255.255.255'],
  );
});

test('R13: rangeElements makes one of ranges that overlap or touch', () => {
  assert.deepEqual(cidrElements(4, [cidr('10.0.0.0/9'), cidr('10.128.0.0/9'), cidr('10.3.0.0/16')]), ['10.0.0.0/8']);
  assert.deepEqual(cidrElements(6, [cidr('::/0'), cidr('fd00::/8')]), ['::/0']);
});

test('rangeElements leaves nothing of a range that its exceptions cover, and ignores the other family', () => {
  assert.deepEqual(
    rangeElements(4, [{ cidr: cidr('10.0.0.0/24'), except: [cidr('10.0.0.0/25'), cidr('10.0.0.128/25')] }]),
    [],
  );
  assert.deepEqual(cidrElements(6, [cidr('10.0.0.0/8')]), []);
  assert.deepEqual(rangeElements(4, [{ cidr: cidr('0.0.0.0/0'), except: [cidr('fd00::/8')] }]), ['0.0.0.0/0']);
});

test('rangeElements writes a single address without a length', () => {
  assert.deepEqual(rangeElements(4, [{ cidr: cidr('10.0.0.0/31'), except: [cidr('10.0.0.0/32')] }]), ['10.0.0.1']);
});
