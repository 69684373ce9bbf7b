import type { Command } from './command.ts';
import type { NftChain, NftHook, NftSet } from './ruleset.ts';

/**
 * The commands of a transaction that this folder wrote: its own subset of nft's language, not all of it.
 *
 * @throws SyntaxError for a line that is not of that subset
 */
export function parseCommands(text: string): Command[] {
  const commands: Command[] = [];
  const lines = text.split('\n');
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]?.trim() ?? '';
    if (line === '') continue;
    const table = /^table inet (\S+) \{$/.exec(line)?.[1];
    if (table === undefined) {
      commands.push(parseCommand(line));
      continue;
    }
    const end = lines.indexOf('}', at);
    if (end < 0) throw new SyntaxError(`the block of table ${table} does not end`);
    commands.push(...parseTable(table, lines.slice(at + 1, end)));
    at = end;
  }
  return commands;
}

function parseCommand(line: string): Command {
  const [, verb = '', kind = '', table = '', name = '', rest = ''] =
    /^(add|delete|flush) (\w+) inet (\S+)(?: (\S+))?(?: (.*))?$/.exec(line) ?? [];
  const words = `${verb} ${kind === 'map' ? 'set' : kind}`;
  switch (words) {
    case 'add table':
    case 'delete table':
      return { verb: words, table };
    case 'delete set':
    case 'flush set':
      return { verb: words, table, name, kind: kind === 'map' ? 'map' : 'set' };
    case 'delete chain':
    case 'flush chain':
      return { verb: words, table, name };
    case 'add set':
      return { verb: words, table, name, set: parseSet(kind === 'map' ? 'map' : 'set', statementsIn(rest)) };
    case 'add chain':
      return { verb: words, table, name, chain: parseChain(rest === '' ? [] : statementsIn(rest)) };
    case 'add rule':
      return { verb: words, table, name, rule: rest };
    case 'add element':
    case 'delete element':
      return { verb: words, table, name, type: undefined, elements: parseElements(rest) };
    default:
      throw new SyntaxError(`cannot read the nft command ${JSON.stringify(line)}`);
  }
}

/** As nft does: what is declared first, then rules, then elements, so that a block may refer forward. */
function parseTable(table: string, lines: readonly string[]): Command[] {
  const declared: Command[] = [{ verb: 'add table', table }];
  const rules: Command[] = [];
  const elements: Command[] = [];
  const blocks = lines.join('\n').matchAll(/^\t(set|map|chain) (\S+) \{\n((?:\t\t.*\n)*)\t\}$/gm);
  for (const [, kind = '', name = '', inner = ''] of blocks) {
    const statements = inner
      .replaceAll(/,\n\t\t\t/g, ', ')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '');
    if (kind === 'chain') {
      const heads = statements.filter(isChainHead).flatMap((statement) => split(statement, ';'));
      declared.push({ verb: 'add chain', table, name, chain: parseChain(heads) });
      for (const rule of statements.filter((statement) => !isChainHead(statement))) {
        rules.push({ verb: 'add rule', table, name, rule });
      }
      continue;
    }
    const list = statements.find((statement) => statement.startsWith('elements = '));
    const heads = statements.filter((statement) => statement !== list);
    declared.push({ verb: 'add set', table, name, set: parseSet(kind === 'map' ? 'map' : 'set', heads) });
    if (list !== undefined) {
      const listed = parseElements(list.slice('elements = '.length));
      elements.push({ verb: 'add element', table, name, type: undefined, elements: listed });
    }
  }
  return [...declared, ...rules, ...elements];
}

function isChainHead(statement: string): boolean {
  return /^(?:comment "|type \w+ hook )/.test(statement);
}

function parseSet(kind: NftSet['kind'], statements: readonly string[]): NftSet {
  const comment = commentIn(statements);
  const each = statements.find((statement) => /^(?:counter|limit)\b/.test(statement));
  return {
    kind,
    type: after('type ', statements) ?? '',
    flags: after('flags ', statements)?.split(',') ?? [],
    autoMerge: statements.includes('auto-merge'),
    ...(each === undefined ? {} : { each }),
    ...(comment === undefined ? {} : { comment }),
    elements: new Map(),
  };
}

function parseChain(statements: readonly string[]): NftChain {
  const comment = commentIn(statements);
  const head = /^(\w+) hook (\w+) priority (\S+)$/.exec(after('type ', statements) ?? '');
  const hook =
    head === null
      ? undefined
      : ({
          type: head[1] as NftHook['type'],
          hook: head[2] as NftHook['hook'],
          priority: head[3] ?? '',
        } satisfies NftHook);
  return { ...(comment === undefined ? {} : { comment }), ...(hook === undefined ? {} : { hook }), rules: [] };
}

function parseElements(braced: string): (readonly [string, string])[] {
  return split(unbrace(braced), ',').map((element) => {
    const colon = element.indexOf(' : ');
    return colon < 0 ? [element, ''] : [element.slice(0, colon), element.slice(colon + 3)];
  });
}

function statementsIn(braced: string): string[] {
  return split(unbrace(braced), ';');
}

function unbrace(text: string): string {
  if (!text.startsWith('{ ') || !text.endsWith(' }')) throw new SyntaxError(`${JSON.stringify(text)} is not in braces`);
  return text.slice(2, -2);
}

/** The parts of `text` between separators outside quotes, trimmed, the empty ones left out. */
function split(text: string, separator: ',' | ';'): string[] {
  const quoted = separator === ',' ? /(?:"[^"]*"|[^",])+/g : /(?:"[^"]*"|[^";])+/g;
  return (text.match(quoted) ?? []).map((part) => part.trim()).filter((part) => part !== '');
}

function after(prefix: string, statements: readonly string[]): string | undefined {
  return statements.find((statement) => statement.startsWith(prefix))?.slice(prefix.length);
}

function commentIn(statements: readonly string[]): string | undefined {
  const text = after('comment ', statements);
  return text?.slice(1, -1);
}
