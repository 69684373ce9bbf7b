import { test } from 'node:test';
import assert from 'node:assert/strict';
import type { Cidr } from '../addr/cidr.ts';
import { cidrElements } from './address-ranges.ts';

const cidr = (text: string): Cidr => text as Cidr;

test('cidrElements makes one of ranges that overlap or touch, and writes the rest from first to last', () => {
  assert.deepEqual(cidrElements(4, [cidr('10.0.0.0/9'), cidr('10.128.0.0/9'), cidr('10.3.0.0/16')]), ['10.0.0.0/8']);
  assert.deepEqual(cidrElements(6, [cidr('::/0'), cidr('fd00::/8')]), ['::/0']);
  assert.deepEqual(cidrElements(4, [cidr('10.0.0.0/16'), cidr('10.1.0.0/17')]), ['10.0.0.0-10.1.127.255']);
});

test('cidrElements ignores the other family, and writes a single address without a length', () => {
  assert.deepEqual(cidrElements(6, [cidr('10.0.0.0/8')]), []);
  assert.deepEqual(cidrElements(4, [cidr('10.0.0.1/32')]), ['10.0.0.1']);
});
