import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { unwrap } from '../lib/result.ts';
import {
  formatSelector,
  matches,
  matchesPartly,
  parseLabelSelector,
  parseSelectorText,
  selectorFromLabels,
  type LabelSelector,
} from './selector.ts';

function labels(object: Record<string, string>): ReadonlyMap<string, string> {
  return new Map(Object.entries(object));
}

function text(selector: string): LabelSelector {
  return unwrap(parseSelectorText(selector));
}

const key = fc.constantFrom('segment', 'app', 'constructor', 'kubernetes.io/metadata.name');
const value = fc.constantFrom('', 'default', 'frontend', 'a-b.c_D');
const someLabels = fc.array(fc.tuple(key, value)).map((pairs) => new Map(pairs));
const requirement = fc.oneof(
  fc.record({
    key,
    operator: fc.constantFrom('In' as const, 'NotIn' as const),
    values: fc.array(value, { minLength: 1, maxLength: 3 }),
  }),
  fc.record({
    key,
    operator: fc.constantFrom('Exists' as const, 'DoesNotExist' as const),
    values: fc.constant<string[]>([]),
  }),
);
const selector = fc.record({ requirements: fc.array(requirement, { maxLength: 4 }) });

test('R38: matches tells the empty segment, the segment default and no segment apart', () => {
  const pods = { empty: labels({ segment: '' }), default: labels({ segment: 'default' }), none: labels({}) };
  const table: readonly (readonly [string, readonly (keyof typeof pods)[]])[] = [
    ['segment=', ['empty']],
    ['segment in ()', ['empty']],
    ['segment=default', ['default']],
    ['!segment', ['none']],
    ['segment', ['empty', 'default']],
    ['segment!=', ['default', 'none']],
    ['segment!=default', ['empty', 'none']],
    ['segment in (,default)', ['empty', 'default']],
    ['segment notin (,default)', ['none']],
    ['', ['empty', 'default', 'none']],
  ];
  for (const [query, wanted] of table) {
    const found = Object.entries(pods).filter(([, pod]) => matches(text(query), pod));
    assert.deepEqual(
      found.map(([name]) => name),
      wanted,
      query,
    );
  }
});

test('matches takes label keys such as constructor as keys like any other', () => {
  assert.equal(matches(text('constructor'), labels({})), false);
  assert.equal(matches(text('!constructor'), labels({})), true);
  const own = unwrap(parseLabelSelector(JSON.parse('{"matchLabels":{"constructor":"a"}}'), 'spec'));
  assert.equal(matches(own, labels({ constructor: 'a' })), true);
});

test('parseSelectorText reads every operator of kubectl -l', () => {
  assert.deepEqual(text(' a = b , c==d,e!=f, g in (h, i),j notin (k),l,!m ').requirements, [
    { key: 'a', operator: 'In', values: ['b'] },
    { key: 'c', operator: 'In', values: ['d'] },
    { key: 'e', operator: 'NotIn', values: ['f'] },
    { key: 'g', operator: 'In', values: ['h', 'i'] },
    { key: 'j', operator: 'NotIn', values: ['k'] },
    { key: 'l', operator: 'Exists', values: [] },
    { key: 'm', operator: 'DoesNotExist', values: [] },
  ]);
});

test('parseSelectorText refuses what is no selector, and says why', () => {
  for (const bad of [
    ',',
    'a,',
    '=b',
    'a=b c',
    'a in b',
    'a in (b',
    'a>1',
    '!a=b',
    'a/b/c',
    'a=-',
    'in (a)',
    'a in (b),,c',
  ]) {
    const result = parseSelectorText(bad);
    assert.equal(result.ok, false, bad);
    assert.match(result.ok ? '' : result.error, /^bad label selector ".*": ./);
  }
});

test('formatSelector and parseSelectorText are inverse, whatever the order of requirements and values', () => {
  fc.assert(
    fc.property(selector, someLabels, (s, l) => {
      const again = text(formatSelector(s));
      assert.equal(matches(again, l), matches(s, l));
      assert.equal(formatSelector(again), formatSelector(s));
      const turned = s.requirements.map((r) => ({ ...r, values: r.values.toReversed() })).toReversed();
      assert.equal(formatSelector({ requirements: turned }), formatSelector(s));
    }),
  );
});

test('parseSelectorText takes any text without throwing', () => {
  fc.assert(fc.property(fc.string(), (s) => typeof parseSelectorText(s).ok === 'boolean'));
});

test('matchesPartly never contradicts what the labels turn out to be', () => {
  fc.assert(
    fc.property(selector, someLabels, fc.array(key), (s, l, known) => {
      const isKnown = (k: string): boolean => known.some((one) => one === k);
      const seen = new Map([...l].filter(([k]) => isKnown(k)));
      const answer = matchesPartly(s, seen, isKnown);
      if (answer !== 'unknown') assert.equal(answer === 'yes', matches(s, l));
    }),
  );
});

test('matchesPartly with everything known is matches', () => {
  fc.assert(
    fc.property(selector, someLabels, (s, l) => {
      assert.equal(
        matchesPartly(s, l, () => true),
        matches(s, l) ? 'yes' : 'no',
      );
    }),
  );
});

test('selectorFromLabels wants each of the labels, and nothing when there are none', () => {
  assert.equal(formatSelector(selectorFromLabels(labels({ b: '', a: 'x' }))), 'a=x,b=');
  assert.equal(matches(selectorFromLabels(labels({})), labels({ a: 'b' })), true);
});

test('parseLabelSelector joins matchLabels and matchExpressions', () => {
  const json = { matchLabels: { a: 'b' }, matchExpressions: [{ key: 'c', operator: 'NotIn', values: ['d'] }] };
  assert.equal(formatSelector(unwrap(parseLabelSelector(json, 'spec.podSelector'))), 'a=b,c!=d');
  assert.deepEqual(unwrap(parseLabelSelector({}, 'spec.podSelector')), { requirements: [] });
});

test('parseLabelSelector names the field of each fault', () => {
  const table: readonly (readonly [unknown, string])[] = [
    [undefined, 's'],
    [[], 's'],
    [{ matchLabel: {} }, 's.matchLabel'],
    [{ matchLabels: { a: 1 } }, 's.matchLabels[a]'],
    [{ matchLabels: { 'a b': '' } }, 's.matchLabels'],
    [{ matchLabels: { a: 'b c' } }, 's.matchLabels'],
    [{ matchExpressions: [{ key: 'a', operator: 'Gt', values: ['1'] }] }, 's.matchExpressions[0].operator'],
    [{ matchExpressions: [{ key: 'a', operator: 'In' }] }, 's.matchExpressions[0].values'],
    [{ matchExpressions: [{ key: 'a', operator: 'Exists', values: ['1'] }] }, 's.matchExpressions[0].values'],
    [{ matchExpressions: [{ operator: 'Exists' }] }, 's.matchExpressions[0].key'],
  ];
  for (const [json, field] of table) {
    const result = parseLabelSelector(json, 's');
    assert.deepEqual(result.ok ? [] : result.error.map((e) => e.field), [field], JSON.stringify(json));
  }
});
