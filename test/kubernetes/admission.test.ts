import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ApiError, type KubeClient } from '../../src/kube/client.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { ID_CLAIMS } from '../../src/objects/id-claim.ts';
import { EVENTS, HOST_REPORTS, HOSTS, NODES, PODS, POLICY_TRACES, type Resource } from '../../src/objects/resources.ts';
import { installOn } from '../support/install-on.ts';
import { noApiServer, RealApiServer } from '../support/real-api-server.ts';

const skip = noApiServer;
const NODE_NAMES = ['n1', 'n2'] as const;
const ACCOUNTS = '/api/v1/namespaces/romana-system/serviceaccounts';

let server: RealApiServer;
let admin: KubeClient;
/** The agent of n1, by the token of its pod. */
let agent: KubeClient;
/** The same account, by a token that no pod has. */
let loose: KubeClient;

before(async () => {
  if (skip !== false) return;
  server = await RealApiServer.start();
  admin = server.client();
  await installOn(admin);
  for (const name of NODE_NAMES) {
    await admin.create(NODES, { metadata: { name } });
    await admin.create(HOSTS, { ...typeOf(HOSTS), metadata: { name }, spec: { id: Number(name[1]), ranges: [] } });
  }
  await admin.create(ID_CLAIMS, {
    ...typeOf(ID_CLAIMS),
    metadata: { name: 'host-1' },
    spec: { kind: 'Host', id: 1, holder: { name: 'n1', uid: '' } },
  });
  const spec = {
    nodeName: 'n1',
    serviceAccountName: 'romana-agent',
    containers: [{ name: 'agent', image: 'romana' }],
  };
  const pod = (await admin.create(PODS, { metadata: { name: 'agent' }, spec }, 'romana-system')) as {
    metadata: { uid: string };
  };
  const bound = { apiVersion: 'v1', kind: 'Pod', name: 'agent', uid: pod.metadata.uid };
  agent = server.client(await tokenOf('romana-agent', bound));
  loose = server.client(await tokenOf('romana-agent'));
  // A policy is in force some time after it was made.
  await waitFor('the admission policy to be in force', () =>
    refusal(() => agent.patch(HOSTS, 'n2', { status: {} }, { subresource: 'status' })).then(
      (why) => why.includes('own node') || undefined,
      () => undefined,
    ),
  );
});
after(() => server?.[Symbol.asyncDispose]());

async function tokenOf(account: string, boundObjectRef?: object): Promise<string> {
  const request = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { boundObjectRef },
  };
  const answer = await admin.raw('POST', `${ACCOUNTS}/${account}/token`, request);
  return (answer as { status: { token: string } }).status.token;
}

function typeOf({ group, version, kind }: Resource): object {
  return { apiVersion: `${group}/${version}`, kind };
}

/** What the API server says when it refuses as forbidden. */
async function refusal(write: () => Promise<unknown>): Promise<string> {
  try {
    await write();
  } catch (error) {
    assert.ok(error instanceof ApiError, String(error));
    assert.equal(error.status, 403, error.message);
    return error.message;
  }
  assert.fail('the API server took it');
}

const report = (name: string, metadata: object = {}): object => ({
  ...typeOf(HOST_REPORTS),
  metadata: { name, ...metadata },
});

function event(about: { kind: string; name: string }, host: string, component = 'romana-agent'): object {
  return {
    metadata: { generateName: 'e-', namespace: 'default' },
    involvedObject: about,
    type: 'Warning',
    reason: 'RulesPutBack',
    message: 'x',
    source: { component, host },
  };
}

test('an agent writes status, report and events of its own node', { skip }, async () => {
  await agent.patch(HOSTS, 'n1', { status: { exceptions: [] } }, { subresource: 'status' });
  await agent.create(HOST_REPORTS, report('n1'));
  await agent.patch(HOST_REPORTS, 'n1', { status: { hostId: 1 } }, { subresource: 'status' });
  for (const about of [
    { kind: 'Host', name: 'n1' },
    { kind: 'Node', name: 'n1' },
    { kind: 'NetworkPolicy', name: 'any' },
    { kind: 'ClusterNetworkPolicy', name: 'any' },
  ]) {
    const made = (await agent.create(EVENTS, event(about, 'n1'), 'default')) as { metadata: { name: string } };
    await agent.patch(EVENTS, made.metadata.name, { count: 2 }, { namespace: 'default' });
  }
  const denied = { ...event({ kind: 'Pod', name: 'p' }, 'n1'), reason: 'PolicyDenied' };
  await agent.create(EVENTS, denied, 'default');
  assert.ok(await agent.get(ID_CLAIMS, 'host-1'));
});

test("an agent's write to another node's objects is refused with the reason", { skip }, async () => {
  const said =
    /ValidatingAdmissionPolicy 'romana-agent'.*the agent of node n1 writes only the Host and the HostReport of/;
  assert.match(await refusal(() => agent.patch(HOSTS, 'n2', { status: {} }, { subresource: 'status' })), said);
  assert.match(await refusal(() => agent.create(HOST_REPORTS, report('n2'))), said);
  assert.match(
    await refusal(() => agent.create(HOST_REPORTS, { ...typeOf(HOST_REPORTS), metadata: { generateName: 'n1' } })),
    said,
  );
  await admin.create(HOST_REPORTS, report('n2'));
  assert.match(await refusal(() => agent.patch(HOST_REPORTS, 'n2', { status: {} }, { subresource: 'status' })), said);
});

const question = (host: string): object => ({
  ...typeOf(POLICY_TRACES),
  metadata: { generateName: 'explain-' },
  spec: { host, direction: 'egress', from: '10.1.17.3', to: '10.2.17.3', protocol: 'TCP', port: 80 },
});

test('an agent answers what its own host is asked, and asks nothing', { skip }, async () => {
  const [own, others] = await Promise.all(
    NODE_NAMES.map(async (name) => {
      const made = (await admin.create(POLICY_TRACES, question(name))) as { metadata: { name: string } };
      return made.metadata.name;
    }),
  );
  assert.ok(own !== undefined && others !== undefined);
  const status = { verdict: 'allow', message: '', path: ['forward'] };
  const answer = (name: string): Promise<unknown> =>
    agent.patch(POLICY_TRACES, name, { status }, { subresource: 'status' });
  await answer(own);
  assert.match(await refusal(() => answer(others)), /the agent of node n1 answers only what its own node is asked/);
  assert.match(await refusal(() => agent.create(POLICY_TRACES, question('n1'))), /cannot create/);
  assert.match(await refusal(() => agent.delete(POLICY_TRACES, own)), /cannot delete/);
  await Promise.all([own, others].map((name) => admin.delete(POLICY_TRACES, name)));
});

test('an agent ties its report to nothing', { skip }, async () => {
  await admin.delete(HOST_REPORTS, 'n1').catch(() => undefined);
  const node = (await admin.get(NODES, 'n2')) as { metadata: { uid: string } };
  const owner = { apiVersion: 'v1', kind: 'Node', name: 'n2', uid: node.metadata.uid, blockOwnerDeletion: true };
  for (const metadata of [{ ownerReferences: [owner] }, { finalizers: ['example.org/stays'] }]) {
    assert.match(await refusal(() => agent.create(HOST_REPORTS, report('n1', metadata))), /neither finalizers nor own/);
  }
});

const create = (object: object): Promise<string> => refusal(() => agent.create(EVENTS, object, 'default'));

test('an agent speaks in events for itself, about its own node and policies', { skip }, async () => {
  const own = { kind: 'Host', name: 'n1' };
  assert.match(await create(event({ kind: 'Host', name: 'n2' }, 'n1')), /writes events of its own Host and Node/);
  assert.match(await create(event({ kind: 'Pod', name: 'p' }, 'n1')), /writes events of its own Host and Node/);
  assert.match(await create(event(own, 'n2')), /only events of its own, with source romana-agent on that node/);
  assert.match(await create(event(own, 'n1', 'kubelet')), /only events of its own, with source romana-agent/);
  const others = (await admin.create(EVENTS, event({ kind: 'Host', name: 'n2' }, 'n2'), 'default')) as {
    metadata: { name: string };
  };
  for (const change of [{ message: 'y' }, { source: { host: 'n1' }, involvedObject: own }]) {
    assert.match(
      await refusal(() => agent.patch(EVENTS, others.metadata.name, change, { namespace: 'default' })),
      /writes only events of its own|field is immutable/,
    );
  }
});

test('an agent deletes nothing, and gives no ids', { skip }, async () => {
  const claim = {
    ...typeOf(ID_CLAIMS),
    metadata: { name: 'host-9' },
    spec: { kind: 'Host', id: 9, holder: { name: 'n1' } },
  };
  for (const write of [
    () => agent.delete(HOST_REPORTS, 'n1'),
    () => agent.delete(HOSTS, 'n1'),
    () => agent.raw('DELETE', '/apis/romana.io/v1/hostreports'),
    () => agent.raw('DELETE', '/apis/romana.io/v1/hosts'),
    () => agent.raw('DELETE', '/api/v1/namespaces/default/events'),
    () => agent.patch(HOSTS, 'n1', { spec: { id: 7 } }),
    () => agent.patch(HOST_REPORTS, 'n1', { metadata: { labels: { a: 'b' } } }),
    () => agent.create(ID_CLAIMS, claim),
    () => agent.patch(ID_CLAIMS, 'host-1', { spec: { released: true } }),
    () => agent.list(ID_CLAIMS),
    () => agent.patch(NODES, 'n1', { status: {} }, { subresource: 'status' }),
    () => agent.raw('POST', `${ACCOUNTS}/romana-agent/token`, {}),
  ]) {
    assert.match(await refusal(write), /cannot|forbidden/);
  }
});

test("a token that is no pod's writes nothing", { skip }, async () => {
  for (const write of [
    () => loose.patch(HOSTS, 'n1', { status: {} }, { subresource: 'status' }),
    () => loose.create(HOST_REPORTS, report('n1')),
    () => loose.create(EVENTS, event({ kind: 'NetworkPolicy', name: 'any' }, ''), 'default'),
  ]) {
    assert.match(await refusal(write), /the token of an agent must be that of its pod on a node/);
  }
});
