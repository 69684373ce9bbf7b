import * as fc from 'fast-check';

/** What is put in place of something: what parsers of others have stumbled over. */
const odd: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(null, true, false, 0, -1, 1.5, 65_536, 2 ** 31, 2 ** 53, 1e308),
  fc.constantFrom(
    '',
    ' ',
    '0',
    '\0',
    '\ud800',
    'a'.repeat(300),
    'on',
    'off',
    'On',
    '*',
    '../../etc',
    '}\nflush ruleset\n',
  ),
  fc.constantFrom('10.1.17.3', '010.1.17.3', '10.0.0.0/8', '0.0.0.0/0', '::/0', 'fd00:10::1:1:1:3', '::ffff:10.1.17.3'),
  fc.constant([]),
  fc.constant({}),
  fc.constant(JSON.parse(`${'['.repeat(500)}${']'.repeat(500)}`) as unknown),
  fc.jsonValue({ maxDepth: 2 }),
);
const key = fc.oneof(
  fc.constantFrom(
    '__proto__',
    'constructor',
    'toString',
    'extra',
    '',
    'spec',
    'matchExpressions',
    'ipBlock',
    'endPort',
  ),
  fc.string({ maxLength: 8 }),
);

interface Edit {
  readonly at: number;
  readonly kind: 'drop' | 'replace' | 'add' | 'repeat' | 'swap' | 'text';
  readonly key: string;
  readonly value: unknown;
}

const edit: fc.Arbitrary<Edit> = fc.record({
  at: fc.nat(),
  kind: fc.constantFrom('drop', 'replace', 'add', 'repeat', 'swap', 'text'),
  key,
  value: odd,
});

/** `seeds` with up to `edits` random edits each, now and then with none: values as they come out of JSON.parse. */
export function mutants(seeds: readonly unknown[], edits = 4): fc.Arbitrary<unknown> {
  return fc
    .tuple(fc.constantFrom(...seeds), fc.array(edit, { maxLength: edits }))
    .map(([seed, list]) => list.reduce(apply, structuredClone(seed)));
}

/** `seeds` with up to `edits` bytes taken out, put in, changed, or with an end cut off. */
export function mutantBytes(seeds: readonly Uint8Array[], edits = 4): fc.Arbitrary<Uint8Array> {
  const byteEdit = fc.record({
    at: fc.nat(),
    kind: fc.constantFrom('cut', 'drop', 'insert', 'change', 'repeat'),
    value: fc.nat(255),
  });
  return fc.tuple(fc.constantFrom(...seeds), fc.array(byteEdit, { maxLength: edits })).map(([seed, list]) => {
    let bytes = [...seed];
    for (const { at, kind, value } of list) {
      const place = at % (bytes.length + 1);
      if (kind === 'cut') bytes = bytes.slice(0, place);
      else if (kind === 'drop') bytes.splice(place, 1);
      else if (kind === 'insert') bytes.splice(place, 0, value);
      else if (kind === 'repeat') bytes.splice(place, 0, ...bytes.slice(Math.max(0, place - value), place));
      else if (place < bytes.length) bytes[place] = value;
    }
    return Uint8Array.from(bytes);
  });
}

/** A place in a document: what holds it, and under which key. */
interface Place {
  readonly holder: Record<string, unknown> | unknown[];
  readonly key: string;
}

function placesIn(document: unknown): readonly Place[] {
  const found: Place[] = [];
  const visit = (holder: unknown): void => {
    if (typeof holder !== 'object' || holder === null || found.length > 10_000) return;
    for (const each of Object.keys(holder)) {
      found.push({ holder: holder as Place['holder'], key: each });
      visit((holder as Record<string, unknown>)[each]);
    }
  };
  visit(document);
  return found;
}

function apply(document: unknown, { at, kind, key: name, value: given }: Edit): unknown {
  const value = structuredClone(given);
  const places = placesIn(document);
  const place = places[at % Math.max(1, places.length)];
  if (place === undefined) return kind === 'replace' ? value : document;
  const holder = place.holder as Record<string, unknown>;
  const old = holder[place.key];
  if (kind === 'drop') {
    if (Array.isArray(holder)) holder.splice(Number(place.key), 1);
    else delete holder[place.key];
  } else if (kind === 'replace') set(holder, place.key, value);
  else if (kind === 'add') set(typeof old === 'object' && old !== null ? (old as typeof holder) : holder, name, value);
  else if (kind === 'repeat' && Array.isArray(holder)) holder.push(structuredClone(old));
  else if (kind === 'swap') set(holder, place.key, structuredClone(places[(at * 7 + 1) % places.length]?.holder));
  else if (kind === 'text' && typeof old === 'string')
    set(holder, place.key, `${old.slice(0, at % 9)}${name}${old.slice(at % 9)}`);
  return document;
}

/** As JSON.parse does it: `__proto__` is a key like any other. Lists only get elements, and have no holes. */
function set(holder: Record<string, unknown>, name: string, value: unknown): void {
  if (Array.isArray(holder) && (name === 'length' || !Object.hasOwn(holder, name))) holder.push(value);
  else Object.defineProperty(holder, name, { value, writable: true, enumerable: true, configurable: true });
}
