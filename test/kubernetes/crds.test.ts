import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { Registry } from '../../src/lib/prometheus.ts';
import { parse } from 'yaml';
import { Controller } from '../../src/controller/controller.ts';
import { ApiError, type KubeClient } from '../../src/kube/client.ts';
import { EventRecorder } from '../../src/kube/events.ts';
import { LeaderElection } from '../../src/kube/leader.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Log } from '../../src/lib/log.ts';
import { unwrap } from '../../src/lib/result.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import type { JsonObject } from '../../src/objects/field.ts';
import { ID_CLAIMS } from '../../src/objects/id-claim.ts';
import { networkToJson, parseNetwork } from '../../src/objects/network.ts';
import {
  CLUSTER_NETWORK_POLICIES,
  HOST_REPORTS,
  HOSTS,
  NAMESPACES,
  NETWORKS,
  NODES,
  PODS,
  POLICY_TRACES,
  type Resource,
  TENANTS,
} from '../../src/objects/resources.ts';
import { createObject, installOn } from '../support/install-on.ts';
import { noApiServer, RealApiServer } from '../support/real-api-server.ts';

const skip = noApiServer;
const ACCOUNTS = '/api/v1/namespaces/romana-system/serviceaccounts';
const CLUSTER_POLICIES_CRD = resolve(
  import.meta.dirname,
  '../../deploy/third-party/network-policy-api/policy.networking.k8s.io_clusternetworkpolicies.yaml',
);
const PLAN4 = { cidr: '10.0.0.0/8', hostBits: 8, tenantBits: 4, segmentBits: 4, endpointBits: 8 };
const FIRST = networkToJson(unwrap(parseNetwork({ metadata: { name: 'default' }, spec: {} })));

let server: RealApiServer;
let admin: KubeClient;
let running: { stop(): Promise<void> } | undefined;
/** What the controller logged as a warning or an error. */
const complaints: string[] = [];

before(async () => {
  if (skip !== false) return;
  server = await RealApiServer.start();
  admin = server.client();
  await installOn(admin);
  await createObject(admin, parse(readFileSync(CLUSTER_POLICIES_CRD, 'utf8')) as JsonObject);
});
after(async () => {
  await running?.stop();
  await server?.[Symbol.asyncDispose]();
});

function complain(fields: object, message?: string): void {
  const { err } = fields as { err?: Error };
  complaints.push(`${message} ${err?.message ?? ''}`);
}

/** A controller as its pod runs it: with the token of its account. */
async function startController(): Promise<{ stop(): Promise<void> }> {
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
  const answer = await admin.raw('POST', `${ACCOUNTS}/romana-controller/token`, request);
  const client = server.client((answer as { status: { token: string } }).status.token);
  const abort = new AbortController();
  const log: Log = { debug: complain, info() {}, warn: complain, error: complain };
  const clock = systemClock;
  const lease = { namespace: 'romana-system', name: 'romana-controller' };
  const election = new LeaderElection({ client, ...lease, identity: 'a', clock, log });
  const { signal } = abort;
  const events = new EventRecorder({ client, clock, log, signal, component: 'romana-controller', host: 'n1' });
  const controller = new Controller({
    client,
    clock,
    log,
    registry: new Registry(),
    firstNetwork: FIRST,
    lead: (work, until) => election.run(until, work),
    warn: async ({ about, reason, message }) => {
      events.record({ object: { apiVersion: 'v1', ...about }, type: 'Warning', reason, message });
    },
  });
  const done = controller.run(signal);
  return {
    async stop() {
      await events.settled();
      abort.abort();
      await done;
    },
  };
}

const typeOf = ({ group, version, kind }: Resource): object => ({ apiVersion: `${group}/${version}`, kind });

async function refusal(write: () => Promise<unknown>): Promise<string> {
  try {
    await write();
  } catch (error) {
    assert.ok(error instanceof ApiError, String(error));
    assert.equal(error.status, 422, error.message);
    return error.message;
  }
  assert.fail('the API server took it');
}

const exists = (resource: Resource, name: string): Promise<unknown> =>
  waitFor(`${resource.kind} ${name}`, () => admin.get(resource, name).catch(() => undefined), { everyMs: 50 });
const isGone = (resource: Resource, name: string): Promise<unknown> =>
  waitFor(
    `no ${resource.kind} ${name}`,
    () =>
      admin.get(resource, name).then(
        () => false,
        () => true,
      ),
    { everyMs: 50 },
  );

const create = (spec: object): Promise<string> =>
  refusal(() => admin.create(NETWORKS, { ...typeOf(NETWORKS), metadata: { name: 'other' }, spec }));

test('the API server refuses Networks that cannot be, with the reason', { skip }, async () => {
  assert.match(
    await create({ plans: [{ ...PLAN4, endpointBits: 9 }] }),
    /plan 10\.0\.0\.0\/8: the bits of its prefix, hosts, .* do not add up to the 32 of an IPv4 address/,
  );
  assert.match(await create({ plans: [{ ...PLAN4, cidr: 'fd00::/64' }] }), /do not add up to the 128 of an IPv6/);
  assert.match(await create({ plans: [{ ...PLAN4, cidr: '10.1.0.0/8' }] }), /10\.1\.0\.0\/8 has bits set behind/);
  assert.match(await create({ plans: [PLAN4, { ...PLAN4, cidr: '11.0.0.0/8' }] }), /at most one plan a family/);
  assert.match(await create({ reservedCIDRs: ['10.0.0.1/8'] }), /10\.0\.0\.1\/8 has bits set behind its prefix/);
  assert.match(await create({ masquerade: { excludeCIDRs: ['10.0.0.1/8'] } }), /has bits set behind its prefix/);
  assert.match(await create({ segmentLabel: 'a b' }), /spec\.segmentLabel/);
});

const claim = (name: string, kind: string, id: number): object => ({
  ...typeOf(ID_CLAIMS),
  metadata: { name },
  spec: { kind, id, holder: { name: 'x', uid: '' } },
});
const createClaim = (...words: Parameters<typeof claim>): Promise<string> =>
  refusal(() => admin.create(ID_CLAIMS, claim(...words)));

test("an IdClaim is of the id in its name, and stays its holder's", { skip }, async () => {
  assert.match(await createClaim('host-5', 'Host', 6), /the name of a claim ends with its number/);
  assert.match(await createClaim('host-5', 'Tenant', 5), /the name of a claim begins with what its number is of/);
  assert.match(await createClaim('tenant-0', 'Tenant', 0), /tenant id 0 is the shared pool/);
  assert.match(await createClaim('host-05', 'Host', 5), /metadata\.name/);
  await admin.create(ID_CLAIMS, claim('host-77', 'Host', 77));
  const said = /an id that is claimed stays its holder's/;
  assert.match(await refusal(() => admin.patch(ID_CLAIMS, 'host-77', { spec: { holder: { name: 'y' } } })), said);
  await admin.patch(ID_CLAIMS, 'host-77', { spec: { released: true } });
  await admin.delete(ID_CLAIMS, 'host-77');
});

test('a PolicyTrace stays as it was asked', { skip }, async () => {
  const spec = { host: 'n1', direction: 'egress', from: '10.1.17.3', to: '10.2.17.3', protocol: 'TCP', port: 80 };
  const trace = (more: object): object => ({
    ...typeOf(POLICY_TRACES),
    metadata: { name: 'q' },
    spec: { ...spec, ...more },
  });
  for (const more of [{ protocol: 'ICMP' }, { port: undefined }]) {
    assert.match(await refusal(() => admin.create(POLICY_TRACES, trace(more))), /all protocols but ICMP have a port/);
  }
  await admin.create(POLICY_TRACES, trace({}));
  const said = /a question stays as it was asked/;
  assert.match(await refusal(() => admin.patch(POLICY_TRACES, 'q', { spec: { host: 'n2' } })), said);
  await admin.delete(POLICY_TRACES, 'q');
});

test('a Host keeps its id and its ranges, a Tenant its id', { skip }, async () => {
  const spec = { id: 200, ranges: ['10.200.0.0/16'] };
  await admin.create(HOSTS, { ...typeOf(HOSTS), metadata: { name: 'kept' }, spec });
  assert.match(await refusal(() => admin.patch(HOSTS, 'kept', { spec: { id: 201 } })), /a Host keeps its id/);
  assert.match(await refusal(() => admin.patch(HOSTS, 'kept', { spec: { ranges: [] } })), /a Host keeps its ranges/);
  await admin.patch(HOSTS, 'kept', { spec: { addresses: ['192.0.2.1'], labels: { a: 'b' } } });
  await admin.delete(HOSTS, 'kept');
  await admin.create(TENANTS, { ...typeOf(TENANTS), metadata: { name: 'kept' } });
  const status = (change: object): Promise<unknown> =>
    admin.patch(TENANTS, 'kept', { status: change }, { subresource: 'status' });
  await status({ id: 0, pooled: true });
  await status({ id: 9, pooled: false });
  assert.match(await refusal(() => status({ id: 10 })), /a Tenant keeps its id/);
  assert.match(await refusal(() => status({ id: null })), /a Tenant keeps its id/);
  await admin.delete(TENANTS, 'kept');
});

test(
  'a controller with its own account follows a cluster from its first Network on, and is refused nothing',
  { skip },
  async () => {
    running = await startController();
    await exists(NETWORKS, 'default');
    for (const name of ['n1', 'n2']) {
      const status = { addresses: [{ type: 'InternalIP', address: `192.0.2.${name[1]}` }] };
      await admin.create(NODES, { metadata: { name }, status });
      await exists(HOSTS, name);
    }
    await createObject(admin, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'a' } });
    await createObject(admin, {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'default', namespace: 'a' },
    });
    const container = { name: 'c', image: 'i' };
    await admin.create(
      PODS,
      { metadata: { name: 'p', labels: { segment: 's' } }, spec: { containers: [container] } },
      'a',
    );
    await waitFor('the ids of tenant a', async () => {
      const tenant = (await admin.get(TENANTS, 'a').catch(() => undefined)) as
        | { status?: { id?: number; segments?: { id: number }[] } }
        | undefined;
      return tenant?.status?.id === 1 && tenant.status.segments?.[0]?.id === 1;
    });
    await admin.delete(PODS, 'p', { namespace: 'a', gracePeriodSeconds: 0 });
    await admin.delete(NAMESPACES, 'a');
    await admin.raw('PUT', '/api/v1/namespaces/a/finalize', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'a' },
      spec: { finalizers: [] },
    });
    await isGone(TENANTS, 'a');
    for (const name of ['n1', 'n2']) {
      await admin.create(HOST_REPORTS, { ...typeOf(HOST_REPORTS), metadata: { name } });
    }
    await waitFor('the id of the tenant to be free', async () => {
      const network = (await admin.get(NETWORKS, 'default')) as { status: { releases: readonly string[] } };
      for (const name of ['n1', 'n2']) {
        const status = { acknowledged: network.status.releases };
        await admin.patch(HOST_REPORTS, name, { status }, { subresource: 'status' });
      }
      return admin.get(ID_CLAIMS, 'tenant-1').then(
        () => false,
        () => true,
      );
    });
    const { metadata } = (await admin.get(HOSTS, 'n1')) as { metadata: { uid: string } };
    const fine = { status: 'True', reason: 'Fine', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' };
    const status = { hostUid: metadata.uid, conditions: [{ type: 'ForwardingAllowed', ...fine }] };
    await admin.patch(HOST_REPORTS, 'n1', { status }, { subresource: 'status' });
    await waitFor('the condition of the node', async () => {
      const node = (await admin.get(NODES, 'n1')) as { status: { conditions?: { type: string; reason: string }[] } };
      return node.status.conditions?.some(
        ({ type, reason }) => type === 'NetworkUnavailable' && reason === 'RomanaIsUp',
      );
    });
    await admin.delete(NODES, 'n2');
    await isGone(HOSTS, 'n2');
    assert.deepEqual(
      complaints.filter((text) => /forbidden|Invalid|cannot/.test(text)),
      [],
    );
  },
);

test('R14: a cluster policy that fails closed says so itself, beside the conditions of others', { skip }, async () => {
  const other = {
    type: 'example.org/Seen',
    status: 'True',
    reason: 'So',
    message: '',
    lastTransitionTime: '2026-01-01T00:00:00Z',
  };
  const deny = { action: 'Deny', to: [{ networks: ['0.0.0.0/0'] }] };
  const byName = { action: 'Accept', to: [{ domainNames: ['example.org'] }] };
  const spec = { tier: 'Admin', priority: 1, subject: { namespaces: {} }, egress: [deny] };
  await admin.create(CLUSTER_NETWORK_POLICIES, { ...typeOf(CLUSTER_NETWORK_POLICIES), metadata: { name: 'p' }, spec });
  await admin.patch(CLUSTER_NETWORK_POLICIES, 'p', { status: { conditions: [other] } }, { subresource: 'status' });
  const said = (status: string): Promise<unknown> =>
    waitFor(`the policy to say ${status}`, async () => {
      const object = (await admin.get(CLUSTER_NETWORK_POLICIES, 'p')) as {
        metadata: { generation: number };
        status: { conditions: { type: string; status: string; observedGeneration: number }[] };
      };
      const [first, own] = object.status.conditions;
      assert.deepEqual(first, other);
      if (own?.status !== status || own.observedGeneration !== object.metadata.generation) return undefined;
      assert.deepEqual([object.status.conditions.length, own.type], [2, 'romana.io/Enforced']);
      return true;
    });
  await admin.patch(CLUSTER_NETWORK_POLICIES, 'p', { spec: { egress: [byName] } });
  await said('False');
  await admin.patch(CLUSTER_NETWORK_POLICIES, 'p', { spec: { egress: [deny] } });
  await said('True');
  assert.deepEqual(
    complaints.filter((text) => /forbidden|Invalid|cannot/.test(text)),
    [],
  );
});

test(
  'plans and segment label of a Network cannot change while hosts hold them, and can when none does',
  { skip },
  async () => {
    await waitFor('what hosts hold to be told', async () => {
      const { status } = (await admin.get(NETWORKS, 'default')) as { status?: { held?: object } };
      return status?.held !== undefined;
    });
    const said =
      /the address plan and the segment label cannot change while hosts hold them, 10\.0\.0\.0\/8:8,4,4,8 and .* by label segment: pods have addresses by them/;
    const change = (spec: object): Promise<unknown> => admin.patch(NETWORKS, 'default', { spec });
    assert.match(await refusal(() => change({ plans: [PLAN4] })), said);
    assert.match(await refusal(() => change({ segmentLabel: 'role' })), said);
    await change({ mtu: 1400, reservedCIDRs: ['10.96.0.0/16'] });
    await admin.delete(NODES, 'n1');
    await isGone(HOSTS, 'n1');
    await waitFor(
      'the Network to be free',
      () =>
        change({ plans: [PLAN4] }).then(
          () => true,
          () => false,
        ),
      {
        everyMs: 100,
      },
    );
  },
);
