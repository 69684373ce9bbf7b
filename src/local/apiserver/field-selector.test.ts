import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matchesFields, parseFieldSelector } from './field-selector.ts';
import { StatusError } from './status-error.ts';

const FIELDS = ['metadata.name', 'spec.nodeName'];
const POD = { metadata: { name: 'a,b' }, spec: {} };

test('matchesFields compares, a missing field counts as empty', () => {
  const cases: [string, boolean][] = [
    ['metadata.name=a\\,b', true],
    ['metadata.name==a\\,b,spec.nodeName=', true],
    ['metadata.name!=a\\,b', false],
    ['spec.nodeName!=n1', true],
    ['spec.nodeName=n1', false],
    ['', true],
  ];
  for (const [text, expected] of cases)
    assert.equal(matchesFields(parseFieldSelector(text, FIELDS), POD), expected, text);
});

test('parseFieldSelector refuses fields that the kind has none of, and bad syntax', () => {
  for (const text of ['status.phase=Running', 'metadata.name', 'metadata.name>a'])
    assert.throws(
      () => parseFieldSelector(text, FIELDS),
      (error) => error instanceof StatusError && error.code === 400,
    );
});
