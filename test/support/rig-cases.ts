import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { NAMESPACES } from '../../src/objects/resources.ts';
import {
  type Case,
  type CaseBlock,
  type CaseFile,
  type CaseStep,
  readCyclonusCases,
} from '../policy-cases/cyclonus-cases.ts';
import { RigInspector } from './rig-inspector.ts';
import { judge } from './rig-judge.ts';
import { RigPolicies } from './rig-policies.ts';
import type { RigPod } from './rig-pod.ts';
import { judgeByRules } from './rig-rules.ts';
import { Rig } from './rig.ts';

type Labels = Readonly<Record<string, string>>;
/** A policy as the file has it, whose blocks are put in place. */
interface CasePolicy {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: object;
}

const FAMILIES = [4, 6] as const;
/** Nobody's: a list of peers must not become empty, which means everybody. */
const NOBODY = '192.0.2.1/32';

/** Plays published cases on the packets of a rig. */
class CasePlayer {
  readonly #rig: Rig;
  readonly #policies: RigPolicies;
  readonly #file: CaseFile;
  readonly #families: readonly (4 | 6)[];
  readonly #namespaces = new Map<string, Labels>();
  readonly #pods = new Map<string, RigPod>();
  #applied: readonly string[] = [];
  readonly #inspector: RigInspector;
  /** Packets that were sent, and verdicts that were read from the rules. */
  readonly counts = { attempts: 0, byRules: 0 };

  constructor(rig: Rig, inspector: RigInspector, file: CaseFile, families: readonly (4 | 6)[]) {
    this.#rig = rig;
    this.#inspector = inspector;
    this.#policies = new RigPolicies(rig);
    this.#file = file;
    this.#families = families;
  }

  async play({ id, steps }: Case): Promise<void> {
    for (const [number, step] of steps.entries()) {
      await this.#makeSo(step);
      await this.#rig.settled();
      await this.#look(step, `${id}, step ${number}`);
    }
  }

  async #makeSo(step: CaseStep): Promise<void> {
    const { namespaces, pods } = step.resources ?? this.#file.resources;
    const wanted = new Set(pods.map((pod) => `${pod.namespace}/${pod.name}`));
    for (const [name, pod] of this.#pods) {
      if (wanted.has(name)) continue;
      await this.#rig.remove(pod);
      this.#pods.delete(name);
    }
    for (const { name, labels } of namespaces) await this.#setNamespace(name, labels);
    await Promise.all(pods.map((pod, n) => this.#setPod(pod.namespace, pod.name, pod.labels, n)));
    const names = step.policies.map((policy) => {
      const { namespace, name } = (policy as CasePolicy).metadata;
      return `${namespace}/${name}`;
    });
    for (const old of this.#applied.filter((name) => !names.includes(name))) {
      const [namespace = '', name = ''] = old.split('/');
      await this.#policies.delete(name, namespace);
    }
    this.#applied = names;
    for (const policy of step.policies) {
      const { metadata, spec } = this.#withOurAddresses(policy as CasePolicy, step.ipBlocks ?? []);
      await this.#policies.v1(metadata.namespace, metadata.name, spec);
    }
    // Last: what was in it may have been the last to name it.
    for (const name of this.#namespaces.keys()) {
      if (namespaces.some((namespace) => namespace.name === name)) continue;
      await this.#rig.deleteNamespace(name);
      this.#namespaces.delete(name);
    }
  }

  async #setNamespace(name: string, labels: Labels): Promise<void> {
    const { client } = this.#rig.api;
    const before = this.#namespaces.get(name);
    const metadata = { name, labels };
    if (before === undefined) await client.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata });
    else await client.patch(NAMESPACES, name, { metadata: { labels: { ...withoutAll(before), ...labels } } });
    this.#namespaces.set(name, labels);
  }

  async #setPod(namespace: string, name: string, labels: Labels, number: number): Promise<void> {
    const key = `${namespace}/${name}`;
    const pod = this.#pods.get(key);
    if (pod !== undefined) return pod.label({ ...withoutAll(pod.labels), ...labels });
    const ports = this.#file.resources.containers.map(({ portName, protocol, port }) => {
      return { name: portName, protocol, containerPort: port };
    });
    this.#pods.set(key, await this.#rig.pod({ namespace, name, labels, ports, host: number % this.#rig.hosts.length }));
  }

  /** A block of somebody's address stands for the pods that it means, which have other addresses here. */
  #withOurAddresses(policy: CasePolicy, blocks: readonly CaseBlock[]): CasePolicy {
    const own = structuredClone(policy);
    const { namespace, name } = policy.metadata;
    for (const block of blocks.toReversed()) {
      if (block.policy !== `${namespace}/${name}`) continue;
      const path = block.path.split('/').slice(1, -1);
      const list = path
        .slice(0, -1)
        .reduce((at: unknown, key) => (at as Record<string, unknown>)[key], own) as object[];
      list.splice(Number(path.at(-1)), 1, ...this.#peersOf(block));
    }
    return own;
  }

  #peersOf({ cidr: { cidr, fromPod }, matches, except }: CaseBlock): readonly object[] {
    // Of no pod's: as it is, and what is as much in the other family.
    if (fromPod === undefined) {
      return [cidr, ...(cidr === '0.0.0.0/0' ? ['::/0'] : [])].map((each) => ({ ipBlock: { cidr: each } }));
    }
    const of = (pods: readonly string[], family: 4 | 6): string[] =>
      pods.map((pod) => `${this.#pods.get(pod)?.address(family)}/${family === 4 ? 32 : 128}`);
    if (except === undefined) {
      const cidrs = [NOBODY, ...FAMILIES.flatMap((family) => of(matches, family))];
      return cidrs.map((each) => ({ ipBlock: { cidr: each } }));
    }
    const others = [...this.#pods.keys()].filter((pod) => !matches.includes(pod));
    return FAMILIES.map((family) => ({
      ipBlock: { cidr: family === 4 ? '0.0.0.0/0' : '::/0', except: of(others, family) },
    }));
  }

  async #look({ endpoints, ports, expected }: CaseStep, what: string): Promise<void> {
    const tried = ports.flatMap((text) => {
      const to = this.#portOf(text);
      return endpoints.flatMap((source, i) =>
        endpoints.flatMap((destination, j) => {
          if (i === j) return [];
          const want = expected.combined[text]?.[i]?.[j] === '.' ? 'open' : 'dropped';
          const ends = { from: this.#pod(source), to: this.#pod(destination) };
          return this.#families.map((family) => ({
            ...to,
            ...ends,
            family,
            want,
            said: `${source} -> ${destination} ${text} IPv${family}`,
          }));
        }),
      );
    });
    const sent = tried.flatMap((each) => (each.protocol === 'sctp' ? [] : [{ ...each, protocol: each.protocol }]));
    // Linux here has no sockets of SCTP.
    const unsent = tried.flatMap((each) => (each.protocol === 'sctp' ? [{ ...each, protocol: each.protocol }] : []));
    const outcomes = [...(await judge(sent)), ...(await judgeByRules(this.#rig, unsent))];
    await this.#inspector.assertWhole([...this.#pods.values()]);
    this.counts.attempts += sent.length;
    this.counts.byRules += unsent.length;
    const wrong = [...sent, ...unsent].flatMap(({ said, want }, n) =>
      outcomes[n] === want ? [] : [`${said}: ${outcomes[n]}, not ${want}`],
    );
    assert.deepEqual(wrong, [], what);
  }

  #pod(name: string): RigPod {
    const pod = this.#pods.get(name);
    if (pod === undefined) throw new Error(`the case has no pod ${name}`);
    return pod;
  }

  /** `TCP/80`, or the port of that name, which all pods have. */
  #portOf(text: string): { readonly protocol: 'tcp' | 'udp' | 'sctp'; readonly port: number } {
    const [protocol = '', port = ''] = text.split('/');
    const named = this.#file.resources.containers.find((c) => c.portName === port && c.protocol === protocol)?.port;
    return { protocol: protocol.toLowerCase() as 'tcp' | 'udp' | 'sctp', port: named ?? Number(port) };
  }
}

function withoutAll(labels: Labels): Record<string, null> {
  return Object.fromEntries(Object.keys(labels).map((key) => [key, null]));
}

/** A test that plays every n-th of cyclonus' cases on a rig of its own. */
export async function playCases(
  t: TestContext,
  { every, families }: { readonly every: number; readonly families: readonly (4 | 6)[] },
): Promise<void> {
  const rig = await Rig.start();
  t.after(() => rig[Symbol.asyncDispose]());
  const inspector = new RigInspector(rig);
  t.after(() => inspector.close());
  const file = readCyclonusCases();
  const player = new CasePlayer(rig, inspector, file, families);
  const cases = file.cases.filter((_, n) => n % every === 0);
  for (const each of cases) await player.play(each);
  t.diagnostic(`${cases.length} cases, ${JSON.stringify(player.counts)}`);
}
