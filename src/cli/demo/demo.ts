import { type Address, type Family, familyOf } from '../../addr/address.ts';
import { hostRange } from '../../addr/plan.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { Clock } from '../../lib/clock.ts';
import { unwrap } from '../../lib/result.ts';
import { parseNamespace } from '../../objects/namespace.ts';
import { DEMO_POLICIES, NAMESPACES, PODS } from '../../objects/resources.ts';
import { toModern } from '../../objects/demo-policy.ts';
import type { JsonObject } from '../../objects/field.ts';
import { type DemoPod, ISOLATION, pasted, podManifest, tenantManifest } from './manifests.ts';
import { Narrator, type Paper } from './narrator.ts';
import { type ExecResult, type Outcome, outcomeOf, requestCommand } from './probe.ts';
import { type RunningPod, Stage } from './stage.ts';
import { parse } from 'yaml';

/** What the demo needs of its surroundings. */
export interface DemoOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly paper: Paper;
  /** Runs a command in a pod. */
  readonly exec: (namespace: string, pod: string, command: readonly string[]) => Promise<ExecResult>;
  /** How a person would type that: `bin/romana local exec tenant-a/nginx-frontend --`. */
  readonly execWords: (namespace: string, pod: string) => string;
  /** How a person calls the program for this cluster: `bin/romana`, with `--name` or `--kubeconfig` where needed. */
  readonly romana: (subcommand: string) => string;
  /** The founding page's policy, and where it lies as a person would name it. */
  readonly policy: { readonly path: string; readonly text: string };
  /** nginx, by the name that the cluster's nodes get it by. */
  readonly image: string;
  /** Which cluster this is, in words. */
  readonly cluster: string;
  readonly pause: () => Promise<void>;
  /** Ends the demo early; what it made is removed all the same. */
  readonly signal: AbortSignal;
}

/** How long a change may take until all agents obey it, in milliseconds. */
const TAKES_EFFECT_MS = 3_000;
const TENANTS = ['tenant-a', 'tenant-b'] as const;

/**
 * The founding page's demo: pods reach each other, isolated tenants do not, and `pol1` opens exactly what it says.
 *
 * @returns whether everything was as expected. What the demo made is removed in any case.
 * @throws the signal's reason when it was ended early, or an Error that says what could not be shown or removed.
 */
export async function runDemo(options: DemoOptions): Promise<boolean> {
  const demo = new Demo(options);
  options.paper.write(`This is ${options.cluster}.\n`);
  let failure: unknown;
  try {
    await demo.play();
  } catch (error) {
    failure = options.signal.aborted ? options.signal.reason : error;
  }
  try {
    await demo.cleanUp();
  } catch (cause) {
    const first = failure === undefined ? '' : `${messageOf(failure)}; and then `;
    throw new Error(`${first}the clean-up did not come to its end: ${messageOf(cause)}`, { cause });
  }
  if (failure !== undefined) throw failure;
  return demo.narrator.table();
}

/** How a probe differs from a plain one. */
interface ProbeOptions {
  readonly port?: number;
  /** By the second family of the cluster, where it has two. */
  readonly second?: boolean;
  /** Something was changed right before, which takes effect within a bound. */
  readonly afterChange?: boolean;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

class Demo {
  readonly narrator: Narrator;
  readonly #o: DemoOptions;
  readonly #stage: Stage;
  readonly #pods = new Map<string, RunningPod>();
  /** Those of the cluster's pods; probes are of the first, where nothing else is said. */
  #families: readonly Family[] = [];
  /** Isolation annotations to put back: what tenant-a had before the demo turned it. */
  #isolationBefore: string | null | undefined;

  constructor(options: DemoOptions) {
    this.#o = options;
    this.#stage = new Stage(options.client, options.clock, options.signal);
    this.narrator = new Narrator(options.paper, async () => {
      if (!options.signal.aborted) await options.pause();
    });
  }

  async play(): Promise<void> {
    const [near, far] = await this.#showNodes();
    await this.#defaultPods(near, far);
    await this.#tenants();
    await this.#tenantPods(near, far);
    await this.#isolated();
    await this.#policy();
    await this.#othersStayOut();
    await this.#isolationOffAndOn();
    await this.#policyEdited();
  }

  /** The nodes and their ranges; gives the two that take pods most willingly (the same twice where there is one). */
  async #showNodes(): Promise<readonly [string, string]> {
    await this.narrator.begin('The nodes: every host has an id, and one range that its pods get their addresses from');
    const { network, hosts } = await this.#stage.survey();
    const idOf = (name: string): number => hosts.get(name)?.id ?? 0;
    this.#families = network.plans.map(({ family }) => family).sort((a, b) => a - b);
    const usable: { readonly name: string; readonly willing: number }[] = [];
    const nodes = (await this.#stage.nodes()).toSorted((a, b) => idOf(a.node.meta.name) - idOf(b.node.meta.name));
    for (const { node, willing } of nodes) {
      const host = hosts.get(node.meta.name);
      if (host === undefined) continue;
      const ranges = network.plans.map((plan) => hostRange(plan, host.id)).join(' and ');
      this.narrator.detail(
        `${node.meta.name.padEnd(10)} host ${host.id}  ${node.addresses.join(' ')}  routes ${ranges} here`,
      );
      if (willing !== undefined) usable.push({ name: node.meta.name, willing });
    }
    const [near, far = near] = usable.sort((a, b) => a.willing - b.willing).map(({ name }) => name);
    if (near === undefined || far === undefined)
      throw new Error('no node takes pods: all are NotReady, cordoned or evict pods (NoExecute)');
    if (near === far) this.narrator.say(`Only ${near} takes pods, so "across hosts" is not shown here.`);
    return [near, far];
  }

  async #defaultPods(near: string, far: string): Promise<void> {
    await this.narrator.begin(
      'Out of the box every pod reaches every pod: in the default namespace, on one host and across hosts',
    );
    await this.#startPods([
      { namespace: 'default', name: 'first', node: near },
      { namespace: 'default', name: 'second', node: near },
      { namespace: 'default', name: 'third', node: far },
    ]);
    await this.#probe('default/first', 'default/second', 'the page');
    await this.#probe('default/first', 'default/third', 'the page');
    await this.#probe('default/third', 'default/first', 'the page');
    await this.#probe('default/first', 'default/third', 'the page', { second: true });
  }

  async #tenants(): Promise<void> {
    await this.narrator.begin('Two tenants, tenant-a and tenant-b: namespaces, isolated by an annotation');
    for (const name of TENANTS) {
      const found = await this.#stage.find(NAMESPACES, name);
      if (found === undefined) {
        this.narrator.say(`This installation has no ${name}; the demo makes it and removes it again.`);
        const text = tenantManifest(name, true);
        this.narrator.command(pasted(`${this.#o.romana('apply')} -f -`, [text]));
        await this.#stage.make(NAMESPACES, parse(text) as object);
        continue;
      }
      const { isolated } = unwrap(parseNamespace(found));
      this.narrator.detail(`namespace ${name}  ${ISOLATION}: ${isolated ? '"on"' : 'not on'}`);
      if (!isolated)
        throw new Error(
          `namespace ${name} is here but not isolated; the demo shows isolated tenants and leaves what others set as it is`,
        );
    }
  }

  async #tenantPods(near: string, far: string): Promise<void> {
    await this.narrator.begin('A frontend and a backend in each, told apart by the label "segment"');
    await this.#startPods(
      TENANTS.flatMap((namespace) => [
        { namespace, name: 'nginx-frontend', segment: 'frontend', node: near },
        { namespace, name: 'nginx-backend', segment: 'backend', node: far },
      ]),
    );
  }

  async #isolated(): Promise<void> {
    await this.narrator.begin(
      'Isolated: nothing reaches anything inside. Requests end in a time-out: packets are dropped, not refused',
    );
    await this.#probe('tenant-a/nginx-frontend', 'tenant-a/nginx-backend', 'a time-out');
    await this.#probe('tenant-b/nginx-frontend', 'tenant-b/nginx-backend', 'a time-out');
    await this.#probe('tenant-b/nginx-frontend', 'tenant-a/nginx-backend', 'a time-out');
    await this.#probe('default/first', 'tenant-a/nginx-backend', 'a time-out');
    await this.#probe('default/third', 'tenant-a/nginx-backend', 'a time-out');
  }

  async #policy(): Promise<void> {
    await this.narrator.begin('The policy "pol1": backend takes TCP port 80 from frontend, in tenant-a');
    this.narrator.command(`${this.#o.romana('apply')} -n tenant-a -f ${this.#o.policy.path}`);
    this.narrator.detail(...this.#o.policy.text.trimEnd().split('\n'));
    await this.#stage.make(DEMO_POLICIES, toModern(JSON.parse(this.#o.policy.text) as JsonObject), 'tenant-a');
    await this.#probe('tenant-a/nginx-frontend', 'tenant-a/nginx-backend', 'the page', { afterChange: true });
    await this.#probe('tenant-a/nginx-frontend', 'tenant-a/nginx-backend', 'the page', { second: true });
    await this.#probe('tenant-a/nginx-frontend', 'tenant-a/nginx-backend', 'a time-out', { port: 81 });
  }

  async #othersStayOut(): Promise<void> {
    await this.narrator.begin('All others are still shut out: another tenant, and the default namespace');
    await this.#probe('tenant-b/nginx-frontend', 'tenant-a/nginx-backend', 'a time-out');
    await this.#probe('default/first', 'tenant-a/nginx-backend', 'a time-out');
    await this.#probe('default/third', 'tenant-a/nginx-backend', 'a time-out');
    await this.#probe('tenant-a/nginx-backend', 'tenant-a/nginx-frontend', 'a time-out');
  }

  async #isolationOffAndOn(): Promise<void> {
    await this.narrator.begin('Isolation off, and on again, while the pods run');
    const before = unwrap(parseNamespace(await this.#o.client.get(NAMESPACES, 'tenant-a')));
    this.#isolationBefore = before.meta.annotations.get(ISOLATION) ?? null;
    this.narrator.command(pasted(`${this.#o.romana('apply')} -f -`, [tenantManifest('tenant-a', false)]));
    await this.#stage.annotate('tenant-a', ISOLATION, 'off');
    await this.#probe('default/first', 'tenant-a/nginx-backend', 'the page', { afterChange: true });
    await this.#probe('tenant-b/nginx-frontend', 'tenant-a/nginx-backend', 'the page');
    this.narrator.say('tenant-b is a tenant of its own: it stays shut.');
    await this.#probe('default/first', 'tenant-b/nginx-backend', 'a time-out');
    this.narrator.command(pasted(`${this.#o.romana('apply')} -f -`, [tenantManifest('tenant-a', true)]));
    await this.#stage.annotate('tenant-a', ISOLATION, 'on');
    await this.#probe('default/first', 'tenant-a/nginx-backend', 'a time-out', { afterChange: true });
    await this.#probe('tenant-a/nginx-frontend', 'tenant-a/nginx-backend', 'the page');
  }

  async #policyEdited(): Promise<void> {
    await this.narrator.begin('The policy edited: port 81 in place of 80. Then deleted');
    const edited = this.#o.policy.text.replace(/("port"\s*:\s*)80/, '$181');
    this.narrator.command(`sed 's/80/81/' ${this.#o.policy.path} | ${this.#o.romana('apply')} -n tenant-a -f -`);
    await this.#o.client.patch(
      DEMO_POLICIES,
      'pol1',
      { spec: (JSON.parse(edited) as { spec: object }).spec },
      { namespace: 'tenant-a' },
    );
    await this.#probe('tenant-a/nginx-frontend', 'tenant-a/nginx-backend', 'a time-out', { afterChange: true });
    this.narrator.say('Port 81 is open now. Nothing listens there, and the pod itself can say so:');
    await this.#probe('tenant-a/nginx-frontend', 'tenant-a/nginx-backend', 'a refusal', { port: 81 });
    this.narrator.command(`${this.#o.romana('delete')} -n tenant-a -f ${this.#o.policy.path}`);
    await this.#o.client.delete(DEMO_POLICIES, 'pol1', { namespace: 'tenant-a' });
    await this.#probe('tenant-a/nginx-frontend', 'tenant-a/nginx-backend', 'a time-out', {
      port: 81,
      afterChange: true,
    });
  }

  /** Puts back what the demo turned and removes what it made. */
  async cleanUp(): Promise<void> {
    await this.narrator.begin('Clean up: what the demo made goes, and nothing else');
    if (this.#isolationBefore !== undefined) await this.#stage.annotate('tenant-a', ISOLATION, this.#isolationBefore);
    await this.#stage.clear();
    this.narrator.say('Done.');
  }

  async #startPods(pods: readonly Omit<DemoPod, 'image'>[]): Promise<void> {
    const manifests = pods.map((pod) => podManifest({ ...pod, image: this.#o.image }));
    this.narrator.command(pasted(`${this.#o.romana('apply')} -f -`, manifests));
    for (const [i, pod] of pods.entries()) {
      await this.#stage.make(PODS, parse(manifests[i] ?? '') as object, pod.namespace);
    }
    for (const { namespace, name } of pods) {
      const pod = await this.#stage.running(namespace, name, (words) => this.narrator.say(words));
      this.#pods.set(`${namespace}/${name}`, pod);
      for (const address of pod.addresses) {
        this.narrator.detail(
          `${`${namespace}/${name}`.padEnd(24)} ${address.padEnd(18)} ${await this.#stage.parts(address)}`,
        );
      }
    }
  }

  async #probe(
    from: string,
    to: string,
    expected: Outcome,
    { port = 80, second = false, afterChange = false }: ProbeOptions = {},
  ): Promise<void> {
    const family = this.#families[second ? 1 : 0];
    if (family === undefined) return; // the cluster has no second one
    const [source, target] = [this.#address(from, family), this.#address(to, family)];
    if (source === undefined || target === undefined)
      throw new Error(`pod ${source === undefined ? from : to} has no IPv${family} address, as all pods have here`);
    this.#o.signal.throwIfAborted();
    const command = requestCommand(target, port);
    const [namespace = '', pod = ''] = from.split('/');
    this.narrator.command(`${this.#o.execWords(namespace, pod)} ${command.join(' ')}`);
    this.narrator.detail(`from ${source}: ${await this.#stage.parts(source)}`);
    this.narrator.detail(`to   ${target}: ${await this.#stage.parts(target)}`);
    const start = this.#o.clock.now();
    let got = outcomeOf(await this.#o.exec(namespace, pod, command));
    const patience = afterChange ? TAKES_EFFECT_MS : 0;
    while (got !== expected && this.#o.clock.now() - start < patience) {
      this.#o.signal.throwIfAborted();
      got = outcomeOf(await this.#o.exec(namespace, pod, command));
    }
    this.#o.signal.throwIfAborted(); // Ctrl-C ends the command in the pod too: its outcome says nothing
    const took = this.#o.clock.now() - start;
    this.narrator.outcome(
      { from, to: `${to} TCP ${port}${family === 6 ? ' (IPv6)' : ''}`, expected, got, good: got === expected },
      ` after ${took} ms`,
    );
  }

  #address(pod: string, family: Family): Address | undefined {
    return this.#pods.get(pod)?.addresses.find((address) => familyOf(address) === family);
  }
}
