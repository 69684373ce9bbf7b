import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { at, textAt } from './api-object.ts';
import type { ContractClient } from './contract-client.ts';
import { startServer } from './test-server.ts';

const OLD = '/apis/romana.io/demo/v1/namespaces/default/networkpolicys';
const NEW = '/apis/demo.romana.io/v1/namespaces/default/networkpolicys';

/** Demo policies with a schema that takes everything: the real one is deploy's matter. */
const CRD = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'networkpolicys.demo.romana.io' },
  spec: {
    group: 'demo.romana.io',
    scope: 'Namespaced',
    names: { plural: 'networkpolicys', singular: 'networkpolicy', kind: 'NetworkPolicy', shortNames: ['demopolicy'] },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: { spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
          },
        },
      },
    ],
  },
};

const SPEC = {
  podSelector: { segment: 'backend' },
  allowIncoming: { toPorts: [{ port: 80, protocol: 'TCP' }], from: [{ pods: { segment: 'frontend' } }] },
};
const POL1 = { metadata: { name: 'pol1' }, apiVersion: 'romana.io/demo/v1', kind: 'NetworkPolicy', spec: SPEC };

async function start(t: TestContext): Promise<ContractClient> {
  return (await startServer(t, { crds: [CRD] })).api;
}

test('a policy posted at its URL of 2016 is there under both, each in its shape', async (t) => {
  const api = await start(t);
  const made = await api.expect(201, 'POST', OLD, POL1);
  assert.equal(made['apiVersion'], 'romana.io/demo/v1');
  const modern = await api.expect(200, 'GET', `${NEW}/pol1`);
  assert.deepEqual([modern['apiVersion'], modern['spec']], ['demo.romana.io/v1', SPEC]);
  const old = await api.expect(200, 'GET', `${OLD}/pol1`);
  assert.deepEqual([old['apiVersion'], old['spec']], ['romana.io/demo/v1', SPEC]);
  assert.equal(textAt(old, 'metadata', 'uid'), textAt(modern, 'metadata', 'uid'));
});

test('lists at the URLs of 2016 have the shape of 2016', async (t) => {
  const api = await start(t);
  await api.expect(201, 'POST', NEW, { ...POL1, apiVersion: 'demo.romana.io/v1' });
  for (const path of [OLD, '/apis/romana.io/demo/v1/networkpolicys']) {
    const listed = await api.expect(200, 'GET', path);
    assert.deepEqual([listed['kind'], listed['apiVersion']], ['NetworkPolicyList', 'romana.io/demo/v1']);
    assert.equal(textAt(at(listed, 'items', 0), 'apiVersion'), 'romana.io/demo/v1');
  }
  assert.deepEqual(
    (await api.expect(200, 'GET', '/apis/romana.io/demo/v1/namespaces/kube-system/networkpolicys'))['items'],
    [],
  );
});

test('the URLs of 2016 take groupVersion, YAML and what curl -d sends', async (t) => {
  const api = await start(t);
  const { apiVersion, ...rest } = POL1;
  await api.expect(201, 'POST', OLD, { ...rest, groupVersion: apiVersion, metadata: { name: 'a' } });
  const yaml = 'apiVersion: romana.io/demo/v1\nkind: NetworkPolicy\nmetadata: {name: b}\nspec:\n podSelector: {}\n';
  await api.expect(201, 'POST', OLD, yaml, { type: 'application/yaml' });
  await api.expect(
    201,
    'POST',
    OLD,
    { ...POL1, metadata: { name: 'c' } },
    { type: 'application/x-www-form-urlencoded' },
  );
  await api.refused(400, 'BadRequest', 'POST', OLD, { ...POL1, apiVersion: 'demo.romana.io/v1' });
});

test('a policy deleted at its URL of 2016 is gone from both', async (t) => {
  const api = await start(t);
  await api.expect(201, 'POST', OLD, POL1);
  assert.equal((await api.expect(200, 'DELETE', `${OLD}/pol1`))['status'], 'Success');
  await api.refused(404, 'NotFound', 'GET', `${NEW}/pol1`);
  await api.refused(404, 'NotFound', 'DELETE', `${OLD}/pol1`);
  await api.refused(405, 'MethodNotAllowed', 'PUT', `${OLD}/pol1`, POL1);
  await api.refused(401, 'Unauthorized', 'GET', OLD, undefined, { token: 'wrong' });
});
