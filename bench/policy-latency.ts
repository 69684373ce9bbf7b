import { execFileSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { DEFAULT_PLANS, encode } from '../src/addr/plan.ts';
import { unwrap } from '../src/lib/result.ts';
import { NETWORK_POLICIES, PODS } from '../src/objects/resources.ts';
import type { TestNetns } from '../test/support/netns.ts';
import type { BenchPod, PolicyRig } from './policy-rig.ts';
import { CLIENT_LABELS, CLIENT_NAMESPACE, nodeName, policyObject } from './policy-world.ts';
import { PORTS } from './traffic-race.ts';
import { forgetSoon } from './traffic-world.ts';

const PROBE = fileURLToPath(new URL('policy-probe.ts', import.meta.url));
/** Between two edits, so that each is one of its own. */
const PAUSE_MS = 100;
/** Endpoints of another host's segment that no pod of the world has. */
const FREE_ENDPOINT = 100;

/** Milliseconds, by what was changed. */
export interface Latencies {
  /** From the API server's answer to the first packet that obeys. */
  readonly each: ReadonlyMap<string, readonly number[]>;
  /** The mean of what the agent did meanwhile. */
  readonly means: ReadonlyMap<string, number>;
}

/** Changes what decides on the client's connections, or on those of pods elsewhere, and waits for packets that obey. */
export async function measureLatency(
  rig: PolicyRig,
  { client, server, rounds }: { readonly client: BenchPod; readonly server: BenchPod; readonly rounds: number },
): Promise<Latencies> {
  // What the prober has asked is no connection that stays.
  forgetSoon(rig.host.ns);
  const each = new Map<string, number[]>();
  const means = new Map<string, number>();
  const note = (what: string, ms: number): void => void each.set(what, [...(each.get(what) ?? []), ms]);
  const probe = await Probe.start(client.ns, server);
  const policies = [false, true].map((closed) => policyObject(0, 'labels', closed));
  const { store } = rig.api.client;
  const put = (resource: typeof PODS, key: string, next: object): void => {
    const before = store.read(resource, key) as { metadata: object };
    const { metadata } = next as { metadata: object };
    store.update(resource, key, { ...next, metadata: { ...before.metadata, ...metadata } }, undefined);
  };
  const editPolicy = (open: boolean): void => {
    const object = policies[open ? 0 : 1]?.object as { metadata: { name: string } };
    put(NETWORK_POLICIES, `${CLIENT_NAMESPACE}/${object.metadata.name}`, object);
  };
  const editLabel = (open: boolean): void => {
    const key = `${client.namespace}/${client.name}`;
    const labels = open ? CLIENT_LABELS : { ...CLIENT_LABELS, role: 'none' };
    put(PODS, key, { ...store.read(PODS, key), metadata: { labels } });
  };
  let before = await spent(rig);
  for (let round = 0; round <= rounds; round++) {
    for (const [what, edit] of [
      ['policy edit', editPolicy],
      ['label edit', editLabel],
    ] as const) {
      for (const open of [false, true]) {
        const ms = await probe.until(open, '0.0.0.0', () => edit(open));
        if (round > 0) note(`${what}, ${open ? 'opens' : 'closes'}`, ms);
      }
    }
  }
  await probe.stop();
  const edited = await spent(rig);
  for (const [part, ms] of meansOf(before, edited)) means.set(`edits, of it: ${part}`, ms);
  before = edited;
  const far = await Probe.start(rig.elsewhere, server);
  for (let round = 0; round <= rounds; round++) {
    const ids = { host: 1, tenant: 1, segment: 1, endpoint: FREE_ENDPOINT + round };
    const ips = DEFAULT_PLANS.map((plan) => unwrap(encode(plan, ids)));
    const [source = ''] = ips;
    execFileSync('ip', ['-n', rig.elsewhere.name, 'address', 'add', `${source}/32`, 'dev', 'lo']);
    const object = {
      metadata: { name: `new-${round}`, labels: CLIENT_LABELS },
      spec: { nodeName: nodeName(1), containers: [{ name: 'main', image: 'nginx' }] },
      status: { phase: 'Running', podIP: source, podIPs: ips.map((ip) => ({ ip })) },
    };
    const ms = await far.until(true, source, () => void store.create(PODS, object, CLIENT_NAMESPACE));
    if (round > 0) note('new pod elsewhere', ms);
    store.delete(PODS, `${CLIENT_NAMESPACE}/new-${round}`, {});
  }
  await far.stop();
  for (const [part, ms] of meansOf(before, await spent(rig))) means.set(`pods elsewhere, of it: ${part}`, ms);
  return { each, means };
}

/** What the agent has spent on plans and transactions until now, in milliseconds, and how many there were. */
type Spent = ReadonlyMap<string, { readonly ms: number; readonly count: number }>;

async function spent(rig: PolicyRig): Promise<Spent> {
  const metrics = [...(await rig.host.metrics())];
  const total = (name: string): number =>
    metrics.reduce((sum, [key, value]) => (key.startsWith(name) ? sum + value : sum), 0);
  const of = (name: string): { ms: number; count: number } => ({
    ms: total(`romana_agent_${name}_seconds_sum`) * 1000,
    count: total(`romana_agent_${name}_seconds_count`),
  });
  return new Map([
    ['a plan', of('plan')],
    ['a transaction', of('nft')],
  ]);
}

function meansOf(before: Spent, after: Spent): readonly (readonly [string, number])[] {
  return [...after].map(([part, { ms, count }]) => {
    const old = before.get(part) ?? { ms: 0, count: 0 };
    return [part, (ms - old.ms) / (count - old.count)] as const;
  });
}

/** The prober in a namespace. */
class Probe {
  readonly #child: ReturnType<TestNetns['spawn']>;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ReturnType<TestNetns['spawn']>) {
    if (child.stdout === null) throw new Error('the prober has no output');
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  static async start(from: TestNetns, to: BenchPod): Promise<Probe> {
    // Before all others while it has work, which is little: those who share the machine are not measured.
    const command = ['chrt', '-r', '2', process.execPath, PROBE] as const;
    const args = [to.ns.path, to.addresses[0] ?? '', String(PORTS.exchange)];
    const child = from.spawn([...command, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    const probe = new Probe(child);
    await probe.#lines.next();
    return probe;
  }

  /** Makes the change while it probes. @returns milliseconds from the change to the first datagram that obeyed */
  async until(open: boolean, source: string, change: () => void): Promise<number> {
    this.#child.stdin?.write(`${open ? 'open' : 'closed'} ${source}\n`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    change();
    const changed = process.hrtime.bigint();
    const { value = '0' } = (await this.#lines.next()) as { value?: string };
    if (value === '0') throw new Error(`nothing came of a change: the client is not ${open ? 'let in' : 'kept out'}`);
    return Number(BigInt(value) - changed) / 1e6;
  }

  async stop(): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await gone;
  }
}
