import { commandText } from '../nft/command.ts';
import type { Command } from '../nft/command.ts';
import { encodeCommands } from '../nft/encode-commands.ts';
import type { EncodedCommand, EncodedElement } from '../nft/encode-commands.ts';
import { ANONYMOUS } from '../nft/encode-rule.ts';
import type { AnonymousSet, EncodedRule } from '../nft/encode-rule.ts';
import { BodyWriter, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL } from './netlink-codec.ts';
import type { NetlinkRequest } from './netlink-codec.ts';
import { commentData, writeExpressions, writeVerdict } from './nft-expression-writer.ts';
import type { RuleHandle } from './nft-rule-handles.ts';
import { anonymousData, namedData, typeOf } from './nft-set-types.ts';

// linux/netfilter/nf_tables.h; numbers in attributes are in network order.
const NFNL_SUBSYS_NFTABLES = 10;
const NFPROTO_INET = 1;
const NFT_MSG_NEWCHAIN = 3;
const NFT_MSG_DELCHAIN = 5;
const NFT_MSG_NEWRULE = 6;
const NFT_MSG_DELRULE = 8;
const NFT_MSG_NEWSET = 9;
const NFT_MSG_DELSET = 11;
const NFT_MSG_NEWSETELEM = 12;
const NFT_MSG_DELSETELEM = 14;
/** Of chains, rules, sets and elements alike: NFTA_CHAIN_TABLE, NFTA_RULE_TABLE... */
const TABLE_OF_ANYTHING = 1;
const NFTA_CHAIN_NAME = 3;
const NFTA_CHAIN_USERDATA = 12;
const NFTA_RULE_CHAIN = 2;
const NFTA_RULE_HANDLE = 3;
const NFTA_RULE_EXPRESSIONS = 4;
const NFTA_RULE_POSITION = 6;
const NFTA_RULE_USERDATA = 7;
const NFTA_SET_NAME = 2;
const NFTA_SET_FLAGS = 3;
const NFTA_SET_KEY_TYPE = 4;
const NFTA_SET_KEY_LEN = 5;
const NFTA_SET_DATA_TYPE = 6;
const NFTA_SET_DATA_LEN = 7;
const NFTA_SET_DESC = 9;
const NFTA_SET_ID = 10;
const NFTA_SET_USERDATA = 13;
const NFTA_SET_DESC_SIZE = 1;
const NFT_SET_ANONYMOUS = 1;
const NFT_SET_CONSTANT = 2;
const NFT_SET_MAP = 8;
const NFT_DATA_VERDICT = 0xffffff00;
const NFTA_SET_ELEM_LIST_SET = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS = 3;
const NFTA_SET_ELEM_LIST_SET_ID = 4;
const NFTA_LIST_ELEM = 1;
const NFTA_SET_ELEM_KEY = 1;
const NFTA_SET_ELEM_DATA = 2;
const NFTA_DATA_VALUE = 1;

/** A list of elements is an attribute, of at most 64 KiB; the longest element is a jump to a chain of 255 characters. */
const ELEMENTS_AT_ONCE = 128;
/** Of a command in an error. */
const MAX_WHAT_CHARS = 300;

/**
 * The commands as messages of a batch, undefined when there is one that is not encoded, or a chain to edit that has not
 * the rules that it is said to have.
 *
 * @param handlesOf the rules that the kernel has in a chain.
 */
export function commandRequests(
  commands: readonly Command[],
  handlesOf: (table: string, chain: string) => readonly RuleHandle[],
): readonly NetlinkRequest[] | undefined {
  const encoded = encodeCommands(commands);
  if (encoded === undefined) return undefined;
  const requests: NetlinkRequest[] = [];
  let ids = 0;
  // Good within the batch.
  const newId = (): number => (ids += 1);
  for (const [index, command] of commands.entries()) {
    const add = (type: number, flags: number, body: BodyWriter): void => {
      requests.push({
        type: (NFNL_SUBSYS_NFTABLES << 8) | type,
        flags,
        body: body.finish(),
        // Put into words only when it is asked for, which is when the kernel refuses it.
        get what(): string {
          return shortened(commandText(command));
        },
      });
    };
    const one = encoded[index];
    if (one === undefined) continue;
    if (one.verb !== 'edit chain') write(one, newId, add);
    else {
      const handles = handlesOf(one.table, one.name);
      if (handles.length !== one.held) return undefined;
      writeEdit(one, handles, newId, add);
    }
  }
  return requests;
}

/** `struct nfgenmsg`: family, version 0, resource in network order. */
export function header(family: number, resource: number): BodyWriter {
  return new BodyWriter()
    .u8(family)
    .u8(0)
    .u8(resource >> 8)
    .u8(resource & 0xff);
}

type Add = (type: number, flags: number, body: BodyWriter) => void;

const NEW = NLM_F_CREATE | NLM_F_EXCL;

type Edit = Extract<EncodedCommand, { verb: 'edit chain' }>;

function write(command: Exclude<EncodedCommand, Edit>, newId: () => number, add: Add): void {
  const { table, name } = command;
  const begin = beginOf(table);
  switch (command.verb) {
    case 'add set':
      return add(NFT_MSG_NEWSET, NEW, writeSet(begin(), command, newId()));
    case 'delete set':
      return add(NFT_MSG_DELSET, 0, begin().attributeText(NFTA_SET_NAME, name));
    case 'flush set':
      return add(NFT_MSG_DELSETELEM, 0, begin().attributeText(NFTA_SET_ELEM_LIST_SET, name));
    case 'add chain': {
      const body = begin().attributeText(NFTA_CHAIN_NAME, name);
      if (command.comment !== undefined) body.attribute(NFTA_CHAIN_USERDATA, commentData(command.comment));
      return add(NFT_MSG_NEWCHAIN, NEW, body);
    }
    case 'delete chain':
      return add(NFT_MSG_DELCHAIN, 0, begin().attributeText(NFTA_CHAIN_NAME, name));
    case 'flush chain':
      return add(NFT_MSG_DELRULE, 0, begin().attributeText(NFTA_RULE_CHAIN, name));
    case 'add rule':
      return writeRule(begin, { chain: name, rule: command.rule, before: undefined }, newId(), add);
    case 'add element':
    case 'delete element':
      for (let at = 0; at < command.elements.length; at += ELEMENTS_AT_ONCE) {
        const body = begin().attributeText(NFTA_SET_ELEM_LIST_SET, name);
        writeElements(body, command.elements.slice(at, at + ELEMENTS_AT_ONCE));
        if (command.verb === 'add element') add(NFT_MSG_NEWSETELEM, NEW, body);
        else add(NFT_MSG_DELSETELEM, 0, body);
      }
  }
}

function beginOf(table: string): () => BodyWriter {
  return () => header(NFPROTO_INET, 0).attributeText(TABLE_OF_ANYTHING, table);
}

/** What goes, and before which of the rules that stay comes what: the kernel looks up anew no set of those. */
function writeEdit({ table, name, rules }: Edit, handles: readonly RuleHandle[], newId: () => number, add: Add): void {
  const begin = beginOf(table);
  const kept = new Set(rules);
  for (const [place, handle] of handles.entries()) {
    if (kept.has(place)) continue;
    add(NFT_MSG_DELRULE, 0, begin().attributeText(NFTA_RULE_CHAIN, name).attribute(NFTA_RULE_HANDLE, handle));
  }
  let coming: EncodedRule[] = [];
  for (const each of [...rules, undefined]) {
    if (each !== undefined && typeof each !== 'number') {
      coming.push(each);
      continue;
    }
    const before = each === undefined ? undefined : handles[each];
    for (const rule of coming) writeRule(begin, { chain: name, rule, before }, newId(), add);
    coming = [];
  }
}

/** @param at.before the rule before which it comes; undefined: it comes last. */
function writeRule(
  begin: () => BodyWriter,
  at: { readonly chain: string; readonly rule: EncodedRule; readonly before: RuleHandle | undefined },
  id: number,
  add: Add,
): void {
  const { expressions, comment, anonymous } = at.rule;
  if (anonymous !== undefined) addAnonymous(begin, anonymous, id, add);
  const body = begin().attributeText(NFTA_RULE_CHAIN, at.chain);
  body.nested(NFTA_RULE_EXPRESSIONS, () => writeExpressions(body, expressions, id));
  if (at.before !== undefined) body.attribute(NFTA_RULE_POSITION, at.before);
  if (comment !== undefined) body.attribute(NFTA_RULE_USERDATA, commentData(comment));
  add(NFT_MSG_NEWRULE, at.before === undefined ? NLM_F_CREATE | NLM_F_APPEND : NLM_F_CREATE, body);
}

function writeSet(
  body: BodyWriter,
  { name, fields, verdicts, comment }: Extract<EncodedCommand, { verb: 'add set' }>,
  id: number,
): BodyWriter {
  const { number, bytes } = typeOf(fields);
  body.attributeText(NFTA_SET_NAME, name).attributeBe32(NFTA_SET_FLAGS, verdicts ? NFT_SET_MAP : 0);
  body.attributeBe32(NFTA_SET_KEY_TYPE, number).attributeBe32(NFTA_SET_KEY_LEN, bytes);
  if (verdicts) body.attributeBe32(NFTA_SET_DATA_TYPE, NFT_DATA_VERDICT).attributeBe32(NFTA_SET_DATA_LEN, 0);
  return body.attributeBe32(NFTA_SET_ID, id).attribute(NFTA_SET_USERDATA, namedData(fields, verdicts, comment));
}

/** A set in braces and what is in it: the kernel finds it by its id alone. */
function addAnonymous(begin: () => BodyWriter, { fields, keys }: AnonymousSet, id: number, add: Add): void {
  const { number, bytes } = typeOf(fields);
  const set = begin().attributeText(NFTA_SET_NAME, ANONYMOUS);
  set.attributeBe32(NFTA_SET_FLAGS, NFT_SET_ANONYMOUS | NFT_SET_CONSTANT);
  set.attributeBe32(NFTA_SET_KEY_TYPE, number).attributeBe32(NFTA_SET_KEY_LEN, bytes).attributeBe32(NFTA_SET_ID, id);
  set.nested(NFTA_SET_DESC, () => set.attributeBe32(NFTA_SET_DESC_SIZE, keys.length));
  add(NFT_MSG_NEWSET, NLM_F_CREATE, set.attribute(NFTA_SET_USERDATA, anonymousData(fields)));
  const elements = begin().attributeText(NFTA_SET_ELEM_LIST_SET, ANONYMOUS);
  elements.attributeBe32(NFTA_SET_ELEM_LIST_SET_ID, id);
  writeElements(
    elements,
    keys.map((key) => ({ key, jump: undefined })),
  );
  add(NFT_MSG_NEWSETELEM, NEW, elements);
}

function writeElements(body: BodyWriter, elements: readonly EncodedElement[]): void {
  body.nested(NFTA_SET_ELEM_LIST_ELEMENTS, () => {
    for (const { key, jump } of elements) {
      body.nested(NFTA_LIST_ELEM, () => {
        body.nested(NFTA_SET_ELEM_KEY, () => body.attribute(NFTA_DATA_VALUE, key));
        if (jump === undefined) return;
        body.nested(NFTA_SET_ELEM_DATA, () => writeVerdict(body, { kind: 'jump', chain: jump }));
      });
    }
  });
}

function shortened(text: string): string {
  return text.length > MAX_WHAT_CHARS ? `${text.slice(0, MAX_WHAT_CHARS)}...` : text;
}
