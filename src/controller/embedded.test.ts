import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Registry } from '../lib/prometheus.ts';
import { parse } from 'yaml';
import { HttpKubeClient } from '../kube/http-client.ts';
import { fixedToken } from '../kube/token.ts';
import { systemClock } from '../lib/clock.ts';
import { silentLog } from '../lib/log.ts';
import { waitFor } from '../lib/wait-for.ts';
import { createApiServer } from '../local/apiserver/api-server.ts';
import {
  DEMO_POLICIES,
  HOST_REPORTS,
  HOSTS,
  NAMESPACES,
  NETWORKS,
  NODES,
  PODS,
  TENANTS,
} from '../objects/resources.ts';
import type { Resource } from '../objects/resources.ts';
import { assign } from './assign.ts';
import { Controller } from './controller.ts';
import { ID_CLAIMS } from '../objects/id-claim.ts';
import { Observer } from './observer.ts';

const CRDS = join(import.meta.dirname, '../../deploy/crds');

/** The embedded API server with the kinds of deploy/crds, and a client of it. */
async function makeServer(t: TestContext): Promise<HttpKubeClient> {
  const crds = readdirSync(CRDS).filter((name) => name.endsWith('.yaml'));
  const server = createApiServer({
    storage: ':memory:',
    crds: crds.map((name): unknown => parse(readFileSync(join(CRDS, name), 'utf8'))),
    tokens: [{ token: 'parts', user: 'system:romana' }],
    clock: systemClock,
    log: silentLog,
  });
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  const client = new HttpKubeClient({ server: `http://127.0.0.1:${port}`, token: fixedToken('parts') });
  t.after(async () => {
    await client.close();
    await server.close();
  });
  return client;
}

function startController(t: TestContext, client: HttpKubeClient): () => Promise<void> {
  const abort = new AbortController();
  const controller = new Controller({
    client,
    clock: systemClock,
    log: silentLog,
    registry: new Registry(),
    lead: (work, signal) => work(signal),
    warn: async () => undefined,
  });
  const running = controller.run(abort.signal);
  const stop = async (): Promise<void> => {
    abort.abort();
    await running;
  };
  t.after(stop);
  return stop;
}

async function addPod(client: HttpKubeClient, namespace: string, name: string, labels: object): Promise<void> {
  const spec = { containers: [{ name: 'main', image: 'nginx' }] };
  await client.create(PODS, { apiVersion: 'v1', kind: 'Pod', metadata: { name, labels }, spec }, namespace);
}

const make = (client: HttpKubeClient, resource: Resource, name: string, rest: object = {}) =>
  client.create(resource, {
    apiVersion: resource.group === '' ? resource.version : `${resource.group}/${resource.version}`,
    kind: resource.kind,
    metadata: { name },
    ...rest,
  });

/** What `path` of an object says, undefined while the object is not there. */
async function look(client: HttpKubeClient, resource: Resource, name: string): Promise<Record<string, unknown>> {
  return (await client.get(resource, name)) as Record<string, unknown>;
}

void test('Controller on the embedded API server: hosts, tenants, segments and status by the schemas of deploy/crds', async (t) => {
  const client = await makeServer(t);
  await make(client, NETWORKS, 'default', { spec: { reservedCIDRs: ['10.96.0.0/12'] } });
  const stop = startController(t, client);
  const status = { addresses: [{ type: 'InternalIP', address: '192.168.99.10' }] };
  await make(client, NODES, 'master');
  await client.patch(NODES, 'master', { status, metadata: { labels: { zone: 'a', gone: 'x' } } });
  await client.patch(NODES, 'master', { status }, { subresource: 'status' });
  await client.patch(NODES, 'master', { metadata: { labels: { gone: null } } });
  await make(client, NAMESPACES, 'tenant-a');
  await addPod(client, 'tenant-a', 'frontend', { segment: 'frontend' });
  await client.create(
    DEMO_POLICIES,
    {
      apiVersion: 'demo.romana.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'pol1' },
      spec: { podSelector: { segment: 'backend' }, allowIncoming: { from: [{ pods: { segment: 'frontend' } }] } },
    },
    'tenant-a',
  );
  await waitFor('both segments', async () => {
    const tenant = await look(client, TENANTS, 'tenant-a');
    const { segments = [] } = (tenant['status'] ?? {}) as { segments?: unknown[] };
    return segments.length === 2;
  });
  const tenant = await look(client, TENANTS, 'tenant-a');
  assert.equal((tenant['status'] as { id: number }).id, 1);
  const spec = await waitFor('the host with the labels of now', async () => {
    const host = await look(client, HOSTS, 'master');
    const spec = host['spec'] as { labels: Record<string, string>; addresses: string[] };
    return spec.labels['zone'] === 'a' && spec.labels['gone'] === undefined && spec.addresses.length > 0 ? spec : false;
  });
  assert.deepEqual(spec.addresses, ['192.168.99.10']);
  await waitFor('the status of the network', async () => {
    const network = await look(client, NETWORKS, 'default');
    return (network['status'] as { hostIdsLeft?: number } | undefined)?.hostIdsLeft === 239;
  });
  const { metadata } = (await client.get(HOSTS, 'master')) as { metadata: { uid: string } };
  const time = '2026-01-01T00:00:00Z';
  const allowed = { type: 'ForwardingAllowed', status: 'True', reason: 'NoForeignDrop', message: '' };
  await make(client, HOST_REPORTS, 'master');
  const report = { hostUid: metadata.uid, conditions: [{ ...allowed, lastTransitionTime: time }] };
  await client.patch(HOST_REPORTS, 'master', { status: report }, { subresource: 'status' });
  await waitFor('the condition of the node', async () => {
    const { status } = await look(client, NODES, 'master');
    const { conditions = [] } = status as { conditions?: { type: string; status: string }[] };
    return conditions.some((condition) => condition.type === 'NetworkUnavailable' && condition.status === 'False');
  });
  await stop();
  await assertAtRest(t, client);
});

void test('Controller on the embedded API server: a namespace that goes takes its Tenant along, its id is kept from others', async (t) => {
  const client = await makeServer(t);
  await make(client, NETWORKS, 'default', { spec: {} });
  startController(t, client);
  await make(client, NODES, 'master');
  await make(client, NAMESPACES, 'a');
  await addPod(client, 'a', 'p', {});
  const idOf = async (name: string): Promise<number> => {
    const tenant = await look(client, TENANTS, name);
    return (tenant['status'] as { id?: number } | undefined)?.id ?? 0;
  };
  await waitFor('the tenant', async () => (await idOf('a')) === 1);
  await client.delete(PODS, 'p', { namespace: 'a', gracePeriodSeconds: 0 });
  await client.delete(NAMESPACES, 'a');
  await waitFor('the tenant to go', async () => (await client.list(TENANTS)).items.length === 0);
  await make(client, NAMESPACES, 'b');
  await addPod(client, 'b', 'p', {});
  await waitFor('the other tenant', async () => (await idOf('b')) === 2);
  const claim = (await client.get(ID_CLAIMS, 'tenant-1')) as { spec: { released?: boolean } };
  assert.equal(claim.spec.released, true);
});

/** Everything that was written is stored as it was written: nothing is left to be done. */
async function assertAtRest(t: TestContext, client: HttpKubeClient): Promise<void> {
  const abort = new AbortController();
  t.after(() => abort.abort());
  const metrics = { listed: () => undefined, received: () => undefined, failed: () => undefined };
  const observer = new Observer({ client, clock: systemClock, log: silentLog, metrics, onChange: () => undefined });
  const running = observer.run(abort.signal);
  await observer.whenSynced(abort.signal);
  assert.deepEqual(assign(observer.state), { actions: [], warnings: [] });
  abort.abort();
  await running;
}
