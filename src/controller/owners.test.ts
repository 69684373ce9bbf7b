import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Acknowledgements } from '../agent/acknowledgements.ts';
import type { Backup } from '../kube/fake-store.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { parseHost } from '../objects/host.ts';
import { HOST_REPORTS, HOSTS, NAMESPACES, NETWORKS, NODES, PODS, TENANTS } from '../objects/resources.ts';
import { parseTenant, type Tenant } from '../objects/tenant.ts';
import { applyActions } from './apply.ts';
import { assign } from './assign.ts';
import { FakeApi } from './fake-api.ts';
import type { Action, ClusterState } from './state.ts';

/** One tenant with one segment, so that ids are always scarce. */
const PLAN = { cidr: '10.0.0.0/8', hostBits: 3, tenantBits: 1, segmentBits: 1, endpointBits: 19 };
const NODE_NAMES = ['n1', 'n2'];
const NAMESPACE_NAMES = ['a', 'b'];
const SEGMENTS = ['s1', 's2', 's3'];
const never = new AbortController().signal;

/** A pod that runs, by whose address its tenant and segment are meant. */
interface Lease {
  readonly tenant: Tenant;
  readonly segment: string;
  readonly segmentId: number;
}

/** What an agent has seen of one kind, and up to which version. */
interface Copy<T> {
  readonly value: T;
  readonly version: number;
}

/** An agent whose copies are of different ages, that may be cut off, and whose pods outlive their objects. */
class TestAgent {
  readonly name: string;
  leases: readonly Lease[] = [];
  hostId: number | undefined;
  tenants: Copy<ReadonlyMap<string, Tenant>> = { value: new Map(), version: 0 };
  cutOff = false;
  readonly #api: FakeApi;
  #network: Copy<{ releases: readonly string[]; version: number }> = {
    value: { releases: [], version: 0 },
    version: 0,
  };
  #acknowledgements = new Acknowledgements();
  #acknowledged: readonly string[] = [];

  constructor(api: FakeApi, name: string) {
    this.#api = api;
    this.name = name;
  }

  /** Takes the present state of some kinds over, and puts what follows in force. */
  see(kinds: { readonly network: boolean; readonly tenants: boolean }): void {
    if (this.cutOff) return;
    const { version } = this.#api.store;
    const network = this.#api.state().network?.meta;
    if (kinds.tenants) this.tenants = { value: tenantsOf(this.#api), version };
    if (kinds.network && network !== undefined) {
      const announced = { releases: this.#api.releases(), version: Number(network.resourceVersion) };
      this.#network = { value: announced, version };
    }
    this.hostId = hostsOf(this.#api).get(this.name)?.id ?? this.hostId;
    if (this.#acknowledgements.startAnew(this.#network.value)) this.list();
    const inForce = Math.min(this.tenants.version, this.#network.version);
    const known = { hosts: hostsOf(this.#api).values(), tenants: this.tenants.value.values() };
    this.#acknowledged = this.#acknowledgements.update(this.#network.value, inForce, known);
  }

  /** Lists everything afresh, as after a start or a 410. */
  list(): void {
    if (this.cutOff) return;
    this.#acknowledgements.forget();
    this.see({ network: true, tenants: true });
  }

  restart(): void {
    if (this.cutOff) return;
    this.#acknowledgements = new Acknowledgements();
    this.list();
  }

  async report(): Promise<void> {
    if (this.cutOff) return;
    const leases = this.leases.map(({ tenant, segmentId }) => ({ tenant: tenant.id, segment: segmentId, count: 1 }));
    const { hostId, name } = this;
    const status = { leases, acknowledged: this.#acknowledged, ...(hostId === undefined ? {} : { hostId }) };
    if (!this.#api.state().reports.has(name)) await this.#api.create(HOST_REPORTS, { metadata: { name } });
    await this.#api.patch(HOST_REPORTS, name, { status });
  }

  /** Connects a pod of some segment that it knows, by what it knows, which may be old. */
  add(choice: number): void {
    const known = [...this.tenants.value.values()].flatMap((tenant) =>
      tenant.segments.filter(({ id }) => id !== 0).map(({ name, id }) => ({ tenant, segment: name, segmentId: id })),
    );
    const lease = known[choice % Math.max(known.length, 1)];
    if (lease !== undefined) this.leases = [...this.leases, lease];
  }
}

const hostsOf = (api: FakeApi) => api.read(HOSTS, parseHost);
const tenantsOf = (api: FakeApi) => api.read(TENANTS, parseTenant);

type Owned = readonly [id: string, owner: string];

/** Whose ids are by what Tenants say. */
function ownersBy(tenants: Iterable<Tenant>): readonly Owned[] {
  const owned: Owned[] = [];
  for (const { meta, id, segments } of tenants) {
    if (id !== 0) owned.push([`tenant ${id}`, meta.uid]);
    for (const one of segments) if (one.id !== 0) owned.push([`segment ${meta.uid}/${one.id}`, one.name]);
  }
  return owned;
}

/** Whose ids are to an agent: by its copy, by its pods, and its own host's. */
function ownersFor({ name, tenants, leases, hostId }: TestAgent): readonly Owned[] {
  return [
    ...ownersBy(tenants.value.values()),
    ...leases.flatMap(({ tenant, segment, segmentId }): readonly Owned[] => [
      [`tenant ${tenant.id}`, tenant.meta.uid],
      [`segment ${tenant.meta.uid}/${segmentId}`, segment],
    ]),
    ...(hostId === undefined ? [] : [[`host ${hostId}`, name] as const]),
  ];
}

const KINDS = ['network', 'nodes', 'namespaces', 'pods', 'hosts', 'tenants', 'reports', 'claims'] as const;

/** The world: an API server, two controllers that may both believe to lead, and the agents. */
class World {
  readonly api = new FakeApi();
  readonly leaders: { state: ClusterState; pending: readonly Action[] }[] = [];
  readonly agents = new Map<string, TestAgent>();
  /** Who had what in the last backup that was restored, as `check` names it: nobody has given that. */
  #restored: ReadonlySet<string> = new Set();
  #restores = 0;
  #backup: Backup | undefined;

  static async create(): Promise<World> {
    const world = new World();
    await world.api.create(NETWORKS, { metadata: { name: 'default' }, spec: { plans: [PLAN] } });
    await world.node('n1');
    world.leaders.push(...[0, 1].map(() => ({ state: world.api.state(), pending: [] })));
    return world;
  }

  /** A Node joins with a fresh agent, or is deleted by hand: then the agent runs on. */
  async node(name: string): Promise<void> {
    if (this.api.state().nodes.has(name)) return void (await this.api.delete(NODES, name));
    await this.api.create(NODES, { metadata: { name } });
    if (this.agents.has(name)) return;
    const agent = new TestAgent(this.api, name);
    this.agents.set(name, agent);
    agent.list();
    await agent.report();
  }

  async namespace(name: string, segment: string): Promise<void> {
    if (this.api.state().namespaces.has(name)) {
      for (const key of this.api.state().pods.keys()) if (key.startsWith(`${name}/`)) await this.#deletePod(key);
      await this.api.delete(NAMESPACES, name);
    } else {
      await this.api.create(NAMESPACES, { metadata: { name } });
      await this.pod(name, segment);
    }
  }

  /** A pod's object comes or goes; what runs of it is the agents' to say. */
  async pod(namespace: string, segment: string): Promise<void> {
    const { namespaces, pods } = this.api.state();
    if (pods.has(`${namespace}/${segment}`)) await this.#deletePod(`${namespace}/${segment}`);
    else if (namespaces.has(namespace))
      await this.api.create(PODS, { metadata: { name: segment, labels: { segment } } }, namespace);
  }

  async work(leader: number, rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      await applyActions(this.api, new FakeClock(), assign(this.api.state()).actions, never);
    }
    this.look(leader, KINDS);
  }

  /** Time goes by for all that are not cut off. */
  async turn(leader: number): Promise<void> {
    for (let round = 0; round < 4; round++) {
      await this.work(leader, 2);
      await this.sync();
    }
  }

  /** A leader sees the present state of some kinds, and plans on that. */
  look(number: number, kinds: readonly (keyof ClusterState)[]): void {
    const leader = this.leaders[number];
    assert.ok(leader);
    const now = this.api.state();
    leader.state = { ...leader.state, ...Object.fromEntries(kinds.map((kind) => [kind, now[kind]])) };
    leader.pending = assign(leader.state).actions;
  }

  /** A leader makes one of the writes that it planned, whenever that was. */
  async write(number: number): Promise<void> {
    const leader = this.leaders[number];
    assert.ok(leader);
    await applyActions(this.api, new FakeClock(), leader.pending.slice(0, 1), never);
    leader.pending = leader.pending.slice(1);
  }

  /** All agents that are not cut off see everything, and say so. */
  async sync(): Promise<void> {
    for (const agent of this.agents.values()) {
      agent.see({ network: true, tenants: true });
      await agent.report();
    }
  }

  backup(): void {
    this.#backup = this.api.store.backup();
  }

  /** As it has to be done: the controllers are stopped, and the restore is marked before they start. */
  async restore(): Promise<void> {
    if (this.#backup === undefined) return;
    this.api.store.restore(this.#backup);
    this.#restores += 1;
    await this.api.patch(NETWORKS, 'default', {
      metadata: { annotations: { 'romana.io/restored': `${this.#restores}` } },
    });
    for (const agent of this.agents.values()) {
      agent.list();
      await agent.report();
      // A host that joined after the backup is unknown; while its agent is cut off, it has to be switched off.
      const known = [...this.api.state().claims.values()].some(({ holder }) => holder.name === agent.name);
      if (!known && agent.cutOff) await this.#switchOff(agent.name);
    }
    for (const name of NODE_NAMES) if (!this.agents.has(name)) await this.#switchOff(name);
    for (const leader of this.leaders) Object.assign(leader, { state: this.api.state(), pending: [] });
    this.#restored = new Set(ownersBy(tenantsOf(this.api).values()).map((owned) => owned.join(' ')));
  }

  /** No id has two owners, in the API server, in any agent's copy or among the pods that run. */
  check(): void {
    const owners = new Map<string, string>();
    const everybody = [
      ...ownersBy(tenantsOf(this.api).values()),
      ...[...hostsOf(this.api).values()].map(({ id, meta }): Owned => [`host ${id}`, meta.name]),
      ...[...this.agents.values()].flatMap((agent) => ownersFor(agent)),
    ];
    for (const [id, owner] of everybody) {
      if (this.#restored.has(`${id} ${owner}`)) continue;
      assert.equal(owners.get(id) ?? owner, owner, `${id} has two owners`);
      owners.set(id, owner);
    }
  }

  /** Everybody sees everything and nothing dies any more: all ids that wait are free in the end. */
  async settle(): Promise<void> {
    for (const agent of this.agents.values()) {
      agent.cutOff = false;
      agent.leases = [];
    }
    for (let round = 0; round < 40; round++) {
      await this.sync();
      const { actions } = assign(this.api.state());
      if (actions.length === 0 && this.api.releases().length === 0) return;
      await applyActions(this.api, new FakeClock(), actions, never);
      this.check();
    }
    assert.fail(`does not come to rest: ${JSON.stringify([this.api.releases(), this.api.store.all(HOST_REPORTS)])}`);
  }

  async #switchOff(name: string): Promise<void> {
    this.agents.delete(name);
    if (this.api.state().nodes.has(name)) await this.api.delete(NODES, name);
    if (this.api.state().reports.has(name)) await this.api.delete(HOST_REPORTS, name);
  }

  async #deletePod(key: string): Promise<void> {
    const [namespace, name = ''] = key.split('/');
    await this.api.delete(PODS, name, { namespace });
  }
}

const kinds = fc.subarray([...KINDS], { minLength: 1 });
const leader = fc.nat(1);
const name = fc.constantFrom(...NODE_NAMES);
const namespace = fc.constantFrom(...NAMESPACE_NAMES);
const segment = fc.constantFrom(...SEGMENTS);
const op = <T extends string>(kind: T) => fc.constant(kind);
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: op('write'), leader }) },
  { weight: 2, arbitrary: fc.record({ do: op('work'), leader, rounds: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 3, arbitrary: fc.record({ do: op('look'), leader, kinds }) },
  { weight: 1, arbitrary: fc.record({ do: op('node'), name }) },
  { weight: 3, arbitrary: fc.record({ do: op('namespace'), namespace, segment }) },
  { weight: 14, arbitrary: fc.record({ do: op('pod'), namespace, segment }) },
  { weight: 4, arbitrary: fc.record({ do: op('see'), name, network: fc.boolean(), tenants: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: op('sync') }) },
  { weight: 12, arbitrary: fc.record({ do: op('turn'), leader }) },
  { weight: 3, arbitrary: fc.record({ do: op('report'), name }) },
  { weight: 6, arbitrary: fc.record({ do: op('add'), name, choice: fc.nat(3) }) },
  { weight: 3, arbitrary: fc.record({ do: op('del'), name }) },
  { weight: 1, arbitrary: fc.record({ do: op('restart'), name }) },
  { weight: 2, arbitrary: fc.record({ do: op('cut'), name }) },
  { weight: 4, arbitrary: fc.record({ do: op('mend'), name }) },
);
const backup = fc.oneof(
  { weight: 1, arbitrary: fc.record({ do: op('backup') }) },
  { weight: 1, arbitrary: fc.record({ do: op('restore') }) },
);
type Step = typeof step | typeof backup extends fc.Arbitrary<infer T> ? T : never;

async function take(world: World, step: Step): Promise<void> {
  switch (step.do) {
    case 'write':
      return world.write(step.leader);
    case 'work':
      return world.work(step.leader, step.rounds);
    case 'look':
      return world.look(step.leader, step.kinds);
    case 'node':
      return world.node(step.name);
    case 'namespace':
      return world.namespace(step.namespace, step.segment);
    case 'pod':
      return world.pod(step.namespace, step.segment);
    case 'sync':
      return world.sync();
    case 'turn':
      return world.turn(step.leader);
    case 'backup':
      return world.backup();
    case 'restore':
      return world.restore();
    case 'see':
    case 'report':
    case 'add':
    case 'del':
    case 'restart':
    case 'cut':
    case 'mend': {
      const agent = world.agents.get(step.name);
      return agent === undefined ? undefined : takeAt(agent, step);
    }
  }
}

async function takeAt(
  agent: TestAgent,
  step: Extract<Step, { do: 'see' | 'report' | 'add' | 'del' | 'restart' | 'cut' | 'mend' }>,
) {
  switch (step.do) {
    case 'see':
      return agent.see(step);
    case 'report':
      return agent.report();
    case 'add':
      return agent.add(step.choice);
    case 'del':
      agent.leases = agent.leases.slice(1);
      return undefined;
    case 'restart':
      return agent.restart();
    case 'cut':
      agent.cutOff = true;
      return undefined;
    case 'mend':
      agent.cutOff = false;
      return undefined;
  }
}

async function holds(steps: readonly Step[]): Promise<void> {
  const world = await World.create();
  for (const step of steps) {
    await take(world, step);
    world.check();
  }
  await world.settle();
  const { claims, tenants } = world.api.state();
  const used = [...tenants.values()].filter(({ id }) => id !== 0).map(({ id }) => `tenant-${id}`);
  const claimed = [...claims.keys()].filter((key) => key.startsWith('tenant-'));
  assert.deepEqual(claimed.toSorted(), used.toSorted());
}

const SIZE = { minLength: 40, maxLength: 120, size: 'max' } as const;

void test('R33: no id has two owners that anybody acts for, with two leaders and agents cut off or slow', async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, SIZE), holds), { numRuns: 100 });
});

void test('R33: no id has two owners that anybody acts for when backups are restored', async () => {
  const any = fc.oneof({ weight: 15, arbitrary: step }, { weight: 1, arbitrary: backup });
  await fc.assert(fc.asyncProperty(fc.array(any, SIZE), holds), { numRuns: 100 });
});
