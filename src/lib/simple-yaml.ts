/**
 * Reads the YAML that Kubernetes manifests are mostly written in, some twenty times as fast as a whole YAML parser:
 * block maps and lists, scalars and flow collections that end on their line, comments. Whatever else is in a text
 * (anchors, tags, block scalars, escapes, anything that is wrong) makes it give up, and is for the parser to read.
 */

/** That a text is not simple. */
class NotSimple extends Error {}

/** A line that says something: how far it is indented, and what stands there. */
interface Line {
  readonly indent: number;
  readonly text: string;
}

const KEY = /^([A-Za-z_/][-A-Za-z0-9_./]*|"[^"\\]*"|'[^']*'):(?: +|$)/;
const FLOW_KEY = /^(?:([A-Za-z_/][-A-Za-z0-9_./]*): +|("[^"\\]*"): *)/;
/** Plain scalars in which nothing can be meant but what stands there. */
const PLAIN = /^[A-Za-z0-9_/.+-](?:[-A-Za-z0-9_/.+=()@%$;^<>~!&*?|\\]|:(?! |$)| (?!#| |$))*$/;
const FLOW_PLAIN = /^[A-Za-z0-9_/.+-](?:[-A-Za-z0-9_/.+=]| (?=[A-Za-z0-9_/.+=]))*/;
const INTEGER = /^[-+]?\d{1,15}$/;
const FLOAT = /^[-+]?(?:\d+\.\d*|\.\d+)$/;
/** What other than the above YAML's core schema takes for no string: large numbers, exponents, hexadecimals, infinities. */
const ODD = /^[-+]?(?:\d{16}|\.?\d[\d.]*e|0[xo]|\.(?:inf|nan))/i;
/** A word or number with a dash before it could be an item of a list. */
const ITEM = /^-(?: |$)/;
const WORDS: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ...['null', 'Null', 'NULL', '~'].map((word) => [word, null] as const),
  ...['true', 'True', 'TRUE'].map((word) => [word, true] as const),
  ...['false', 'False', 'FALSE'].map((word) => [word, false] as const),
]);

function plain(text: string): unknown {
  if (WORDS.has(text)) return WORDS.get(text);
  if (INTEGER.test(text) || FLOAT.test(text)) return Number(text);
  if (ODD.test(text)) throw new NotSimple();
  return text;
}

/** `text` without a comment at its end; only of what is no quoted text. */
function withoutComment(text: string): string {
  const at = text.indexOf(' #');
  return (at < 0 ? text : text.slice(0, at)).trimEnd();
}

function keyOf(text: string): string {
  const key = text.startsWith('"') || text.startsWith("'") ? text.slice(1, -1) : text;
  // Unquoted words mean something; and no object has these for keys of its own in every parser.
  if ((key === text && WORDS.has(key)) || key === '__proto__' || key === '') throw new NotSimple();
  return key;
}

function put(object: Record<string, unknown>, key: string, value: unknown): void {
  if (Object.hasOwn(object, key)) throw new NotSimple();
  object[key] = value;
}

/** A flow collection or scalar at the start of a text, and what follows. */
class FlowReader {
  #rest: string;

  constructor(text: string) {
    this.#rest = text;
  }

  get rest(): string {
    return this.#rest;
  }

  value(): unknown {
    if (this.#take('[')) return this.#list();
    if (this.#take('{')) return this.#map();
    const quoted = /^(?:"[^"\\]*"|'[^']*')/.exec(this.#rest)?.[0];
    if (quoted !== undefined) {
      this.#skip(quoted.length);
      return quoted.slice(1, -1);
    }
    const word = FLOW_PLAIN.exec(this.#rest)?.[0];
    if (word === undefined || ITEM.test(word)) throw new NotSimple();
    this.#skip(word.length);
    return plain(word);
  }

  #list(): unknown[] {
    const list: unknown[] = [];
    if (this.#take(']')) return list;
    for (;;) {
      list.push(this.value());
      if (this.#take(']')) return list;
      this.#expect(',');
    }
  }

  #map(): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    if (this.#take('}')) return map;
    for (;;) {
      const match = FLOW_KEY.exec(this.#rest);
      if (match === null) throw new NotSimple();
      this.#skip(match[0].length);
      put(map, keyOf(match[1] ?? match[2] ?? ''), this.value());
      if (this.#take('}')) return map;
      this.#expect(',');
    }
  }

  #skip(length: number): void {
    this.#rest = this.#rest.slice(length).trimStart();
  }

  #take(sign: string): boolean {
    if (!this.#rest.startsWith(sign)) return false;
    this.#skip(1);
    return true;
  }

  #expect(sign: string): void {
    if (!this.#take(sign)) throw new NotSimple();
  }
}

/** A value that ends on its line. */
function inline(text: string): unknown {
  const first = text.charAt(0);
  if (first === '[' || first === '{' || first === '"' || first === "'") {
    const flow = new FlowReader(text);
    const value = flow.value();
    // A comment needs a space before it, which is skipped by now.
    if (flow.rest !== '' && !(flow.rest.startsWith('#') && text.includes(` ${flow.rest}`))) throw new NotSimple();
    return value;
  }
  const scalar = withoutComment(text);
  if (scalar !== '~' && (!PLAIN.test(scalar) || ITEM.test(scalar))) throw new NotSimple();
  return plain(scalar);
}

class BlockReader {
  readonly #lines: Line[];
  #at = 0;

  constructor(lines: Line[]) {
    this.#lines = lines;
  }

  document(): unknown {
    const [first] = this.#lines;
    if (first === undefined) return null;
    if (first.indent !== 0) throw new NotSimple();
    const value = this.#block(0);
    if (this.#at < this.#lines.length) throw new NotSimple();
    return value;
  }

  /** The map or list whose entries are indented by `indent`. */
  #block(indent: number): unknown {
    const line = this.#lines[this.#at];
    return line !== undefined && ITEM.test(line.text) ? this.#list(indent) : this.#map(indent);
  }

  #map(indent: number): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    for (let line = this.#lines[this.#at]; line?.indent === indent; line = this.#lines[this.#at]) {
      const match = KEY.exec(line.text);
      if (match === null) throw new NotSimple();
      this.#at += 1;
      put(map, keyOf(match[1] ?? ''), this.#after(line.text.slice(match[0].length), indent, true));
    }
    this.#mustEnd(indent);
    return map;
  }

  #list(indent: number): unknown[] {
    const list: unknown[] = [];
    for (let line = this.#lines[this.#at]; line?.indent === indent; line = this.#lines[this.#at]) {
      if (!ITEM.test(line.text)) break; // the next key of the map that the list belongs to
      const rest = line.text.slice(1).trimStart();
      if (KEY.test(rest) || ITEM.test(rest)) {
        // What stands behind the dash is the first line of a block that is indented as far as it stands.
        const inner = indent + line.text.length - rest.length;
        this.#lines[this.#at] = { indent: inner, text: rest };
        list.push(this.#block(inner));
      } else {
        this.#at += 1;
        list.push(this.#after(rest, indent, false));
      }
    }
    return list;
  }

  /** The value behind a key or a dash that stand at `indent`: on the line, or the block below. */
  #after(rest: string, indent: number, listMayStandThere: boolean): unknown {
    if (rest !== '' && !rest.startsWith('#')) return inline(rest);
    const next = this.#lines[this.#at];
    if (next === undefined || next.indent < indent) return null;
    if (next.indent > indent) return this.#block(next.indent);
    return listMayStandThere && ITEM.test(next.text) ? this.#list(indent) : null;
  }

  /** After a block only less indented lines may come: more would go on with a scalar. */
  #mustEnd(indent: number): void {
    const next = this.#lines[this.#at];
    if (next !== undefined && next.indent > indent) throw new NotSimple();
  }
}

function linesOf(text: string): Line[] {
  const lines: Line[] = [];
  for (const raw of text.split('\n')) {
    const trimmed = raw.trimStart();
    if (trimmed === '' || trimmed.startsWith('#')) continue;
    lines.push({ indent: raw.length - trimmed.length, text: trimmed.trimEnd() });
  }
  return lines;
}

/** The value of one YAML document, or undefined if it takes a whole parser to read it or to say what is wrong. */
export function parseSimpleYaml(text: string): { readonly value: unknown } | undefined {
  // Tabs, line ends of others, document ends, directives and all but ASCII, which has spaces of many kinds.
  if (/[^\x20-\x7e\n]|^\.\.\.|^%|^---/m.test(text)) return undefined;
  try {
    return { value: new BlockReader(linesOf(text)).document() };
  } catch (error) {
    if (error instanceof NotSimple) return undefined;
    throw error;
  }
}
