import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseDocument, stringify } from 'yaml';
import { parseSimpleYaml } from './simple-yaml.ts';

/** Whether both read the same, or the simple reader leaves it to the parser. */
function agrees(text: string): boolean {
  const simple = parseSimpleYaml(text);
  if (simple === undefined) return false;
  const document = parseDocument(text);
  assert.deepEqual(document.errors, [], text);
  assert.deepEqual(simple.value, document.toJS() ?? null, text);
  return true;
}

test('parseSimpleYaml reads what manifests are written in', () => {
  const texts = [
    'apiVersion: v1\nkind: Pod\nmetadata:\n  name: a # a comment\n  labels: {app: web, "x/y": \'1\'}\n',
    'spec:\n  policyTypes: [Ingress, Egress]\n  ingress:\n  - from:\n    - podSelector: {}\n    - ipBlock:\n        cidr: 10.0.0.0/8\n        except:\n        - 10.1.0.0/16\n    ports:\n      - port: 80\n        protocol: TCP\n',
    '# only a comment\n',
    '',
    '- 1\n- a\n- - b\n  - c\n-\n  d: e\n- f:\n  g: 0.5\n',
    'a:\nb: null\nc: ~\nd: true\ne: "on"\nf: on\ng: 010\nh: -1\ni: 1.2.3\nj: fd00::1\nk: a:b\nl: http://x\n',
    'a: {"b":"c","d":[1, 2 , three]}\n',
    'annotations:\n  net.alpha.kubernetes.io/network-isolation: "on"\n',
  ];
  for (const text of texts) assert.ok(agrees(text), text);
});

test('parseSimpleYaml leaves to the parser what it does not know, and what is wrong', () => {
  const texts = [
    'a: |\n  text\n',
    'a: >-\n  text\n',
    'a: &x b\n',
    'a: *x\n',
    'a: !!str 1\n',
    'a: b\n c\n',
    'a: "b\\n"\n',
    'a: 1\na: 2\n',
    'a: b: c\n',
    'a:\n\tb: c\n',
    'a: 1e3\n',
    'a: 0x10\n',
    'a: .inf\n',
    'true: 1\n',
    '? a\n: b\n',
    'a: [1\n',
    'a: "x" y\n',
    '<<: {}\n',
    'a: @b\n',
    'a: `b`\n',
    '%YAML 1.1\n---\na: on\n',
    'a: ü\n',
    'plain\n',
    '  a: 1\nb: 2\n',
    'a:\n    b: 1\n  c: 2\n',
    'a: 1\n- b\n',
  ];
  for (const text of texts) assert.equal(parseSimpleYaml(text), undefined, text);
});

const word = fc.oneof(
  fc.constantFrom(
    'a',
    'app',
    'kubernetes.io/metadata.name',
    'x-y',
    'null',
    'true',
    'on',
    '1',
    '1.5',
    '1e3',
    '-',
    '- a',
    '',
  ),
  fc.string({ maxLength: 6 }),
);
const tree = fc.letrec((tie) => ({
  value: fc.oneof({ depthSize: 'small' }, tie('leaf'), tie('map'), tie('list')),
  leaf: fc.oneof(word, fc.integer(), fc.double({ noNaN: true }), fc.boolean(), fc.constant(null)),
  map: fc.dictionary(word, tie('value'), { maxKeys: 3 }),
  list: fc.array(tie('value'), { maxLength: 3 }),
})).value;

test('property: parseSimpleYaml says of what the library writes what was written, or nothing', () => {
  let read = 0;
  fc.assert(
    fc.property(
      tree,
      fc.constantFrom({}, { indentSeq: false }, { collectionStyle: 'flow' as const }),
      (value, style) => {
        if (agrees(stringify(value, style))) read += 1;
      },
    ),
    { numRuns: 2_000 },
  );
  assert.ok(read > 100, `only ${read} were simple`);
});

const line = fc
  .tuple(
    fc.nat(6),
    fc.array(
      fc.constantFrom(
        'a',
        'b:',
        ': ',
        '- ',
        '-',
        ' ',
        '#',
        ' # ',
        '"',
        "'",
        '{',
        '}',
        '[',
        ']',
        ', ',
        ',',
        '1',
        '.',
        '\\',
        '?',
        '|',
        '&',
        '*',
        '!',
        '~',
        ':',
        '"k":',
        'key: ',
      ),
      { maxLength: 6 },
    ),
  )
  .map(([indent, parts]) => ' '.repeat(indent) + parts.join(''));

test('property: parseSimpleYaml agrees with the parser on any text that it reads', () => {
  let read = 0;
  fc.assert(
    fc.property(fc.array(line, { maxLength: 5 }), (lines) => {
      if (agrees(`${lines.join('\n')}\n`)) read += 1;
    }),
    { numRuns: 20_000 },
  );
  assert.ok(read > 300, `only ${read} were simple`);
});
