import type { Address } from '../addr/address.ts';
import type { NftTable, TableChain } from '../kernel/nft-table.ts';
import type { Path } from '../kernel/routes.ts';
import type { Rtnl } from '../kernel/rtnl.ts';
import { type Step, walk, type Walk } from '../nft/machine.ts';
import { newConnectionPacket } from '../nft/machine-packet.ts';
import type { TraceAnswer, TraceQuestion } from '../objects/policy-trace.ts';
import { TABLE } from '../plan/ruleset-builder.ts';
import { INTERFACE_PREFIX } from '../plan/spoof.ts';
import { TALLIES } from '../plan/tally.ts';

/** The kernel, as it is asked. */
export interface TraceKernel {
  readonly rtnl: Pick<Rtnl, 'paths' | 'link'>;
  readonly table: Pick<NftTable, 'chains' | 'rules' | 'keyBytes' | 'element'>;
  /** The rules of a chain of our table as nft(8) lists them, by handle. */
  readonly texts: (chain: string) => ReadonlyMap<number, string>;
}

/** Lists of ports may be long; so much of a rule is shown. */
const MAX_RULE_CHARS = 4_000;

type Found = Pick<TraceAnswer, 'verdict' | 'message'>;

/** One end as the kernel's routes have it. */
interface End extends Path {
  readonly address: Address;
  /** The interface that leads to it, '' where none does. */
  readonly device: string;
}

/**
 * What the kernel of this host does with the first packet of a connection, by the routes and the rules that it has now:
 * its own rules are gone through for exactly that packet. No packet is sent, and nothing that the agent believes counts.
 *
 * Of what stays on this host, both directions are judged here: the other one is passed over.
 */
export function traceConnection(question: TraceQuestion, kernel: TraceKernel): TraceAnswer {
  const { direction } = question;
  const [from, to] = endsOf(question, kernel);
  const own = direction === 'egress' ? from : to;
  const beside = besideRules(direction, from, to, own);
  if (beside !== undefined) return { ...beside, path: [] };
  const chains = kernel.table.chains();
  if (chains.length === 0) return { verdict: 'allow', message: `the kernel has no table inet ${TABLE}`, path: [] };
  const packet = newConnectionPacket({
    ...question,
    in: from.device,
    ...(to.way === 'local' ? {} : { out: to.device }),
  });
  const skip = (map: string): boolean => map.startsWith(direction === 'egress' ? 'ingress' : 'egress');
  const last = to.way === 'local' ? 'input' : 'forward';
  // What one pod of this host sends to another comes by once: where it began is a matter of egress.
  const hooks = direction === 'ingress' && isPod(from) ? [last] : ['prerouting', last];
  const path: string[] = [];
  let answer: Omit<TraceAnswer, 'path'> | undefined;
  for (const chain of hooks.flatMap((hook) => chainsOn(hook, chains))) {
    const walked = walk(kernel.table, chain.name, packet, { skip });
    answer = answerOf(chain, walked, { chains, texts: kernel.texts });
    path.push(...namesOf(chain, walked));
    if (answer.verdict !== 'allow') return { ...answer, path };
  }
  if (answer === undefined || chainsOn(last, chains).length === 0) {
    return { verdict: 'allow', message: `table inet ${TABLE} has no chain for what is ${LAST_TEXT[last]}`, path };
  }
  return { ...answer, path };
}

const LAST_TEXT = { forward: 'forwarded', input: 'sent to this host' } as const;

/** The base chains on a hook, in the order of the kernel. */
function chainsOn(name: string, chains: readonly TableChain[]): readonly TableChain[] {
  return chains
    .filter(({ hook }) => hook?.name === name && hook.type === 'filter')
    .toSorted((a, b) => (a.hook?.priority ?? 0) - (b.hook?.priority ?? 0));
}

function endsOf({ from, to }: TraceQuestion, { rtnl }: TraceKernel): readonly [End, End] {
  const addresses = [from, to] as const;
  const paths = rtnl.paths(addresses);
  const end = (index: 0 | 1): End => {
    const path = paths[index] ?? { way: 'none' };
    const device = path.dev === undefined ? '' : (rtnl.link(path.dev)?.name ?? '');
    return { ...path, address: addresses[index], device };
  };
  return [end(0), end(1)];
}

/** What is decided before any rule is asked: by routes, or since no packet of it comes by a rule. */
function besideRules(direction: TraceQuestion['direction'], from: End, to: End, own: End): Found | undefined {
  if (direction === 'ingress' && from.way === 'local') {
    return { verdict: 'allow', message: 'what a host sends to its own pods passes none of the rules' };
  }
  if (own.way === 'none') {
    return { verdict: 'deny', message: `no route leads to ${own.address}: no pod on this host has it` };
  }
  if (!isPod(own)) {
    const where = own.way === 'local' ? 'is of this host itself' : `is reached by ${own.device}`;
    return { verdict: 'unknown', message: `${own.address} is no pod's on this host: it ${where}` };
  }
  if (to.way === 'none') {
    // Which is no verdict of policy: the rules are never asked.
    return {
      verdict: 'unknown',
      message: `no route leads to ${to.address}: nothing gets there, whatever the rules say`,
    };
  }
  return undefined;
}

function isPod({ way, device }: End): boolean {
  return way === 'link' && device.startsWith(INTERFACE_PREFIX);
}

/** They tell what was denied elsewhere. */
const TELLERS: ReadonlySet<string> = new Set(Object.values(TALLIES.denied));

interface Words {
  readonly chains: readonly TableChain[];
  readonly texts: TraceKernel['texts'];
}

function answerOf(base: TableChain, walked: Walk, words: Words): Omit<TraceAnswer, 'path'> {
  // What denies leads to where it is counted and dropped.
  const last = walked.steps.findLast(({ chain }) => !TELLERS.has(chain));
  if (walked.verdict === 'unknown') {
    return { verdict: 'unknown', message: walked.why ?? '', ...(last === undefined ? {} : ruleOf(last, words)) };
  }
  const dropped = walked.verdict === 'drop' || (walked.verdict === 'end' && base.hook?.policy === 'drop');
  const verdict = dropped ? 'deny' : 'allow';
  if (last === undefined) return { verdict, message: `no rule of chain ${base.name} is about it`, chain: base.name };
  if (verdict === 'allow' && 'chain' in last.verdict) {
    // It came to the end of the chain that it was led to, which goes back to where it came from.
    const { chain } = last.verdict;
    const comment = commentOf(chain, words.chains);
    return { verdict, message: `no rule of chain ${chain} is about it`, chain, ...(comment === '' ? {} : { comment }) };
  }
  return { verdict, message: '', ...ruleOf(last, words) };
}

function ruleOf(
  { chain, rule, position }: Step,
  { chains, texts }: Words,
): Omit<TraceAnswer, 'verdict' | 'message' | 'path'> {
  const comment = rule.comment === '' ? commentOf(chain, chains) : rule.comment;
  const text = texts(chain).get(rule.handle);
  return {
    chain,
    ...(comment === '' ? {} : { comment }),
    handle: rule.handle,
    position,
    ...(text === undefined
      ? {}
      : { rule: text.length > MAX_RULE_CHARS ? `${text.slice(0, MAX_RULE_CHARS)}...` : text }),
  };
}

function commentOf(chain: string, chains: readonly TableChain[]): string {
  return chains.find(({ name }) => name === chain)?.comment ?? '';
}

/** The chains that a packet went through. */
function namesOf(base: TableChain, { steps }: Walk): readonly string[] {
  const led = steps.flatMap(({ chain, verdict }) => ('chain' in verdict ? [chain, verdict.chain] : [chain]));
  return [base.name, ...led].filter((name, i, all) => name !== all[i - 1]);
}
