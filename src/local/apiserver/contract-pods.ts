import assert from 'node:assert/strict';
import { test } from 'node:test';
import { at, textAt } from './api-object.ts';
import type { ContractClient } from './contract-client.ts';

/** A pod that no scheduler of the cluster takes. */
function pod(name: string, spec: object = {}): object {
  return {
    metadata: { name },
    spec: { schedulerName: 'nobody', containers: [{ name: 'main', image: 'nginx' }], ...spec },
  };
}

function podsIn(namespace: string): string {
  return `/api/v1/namespaces/${namespace}/pods`;
}

/** Declares the tests of what is special about pods. */
export function declarePodContract(client: () => Promise<ContractClient>): void {
  test('API: a pod without a node goes at once, its status begins as Pending', async (t) => {
    const api = await client();
    const path = podsIn(await api.namespace(t));
    const made = await api.create(path, pod('one'));
    assert.equal(textAt(made, 'status', 'phase'), 'Pending');
    assert.equal(textAt(made, 'spec', 'restartPolicy'), 'Always');
    await api.expect(200, 'DELETE', `${path}/one`);
    await api.refused(404, 'NotFound', 'GET', `${path}/one`);
  });

  test('API: a pod on a node stays, marked, until its node is done with it', async (t) => {
    const api = await client();
    const path = podsIn(await api.namespace(t));
    await api.create(path, pod('one', { nodeName: 'contract-no-such-node', terminationGracePeriodSeconds: 20 }));
    const marked = await api.expect(200, 'DELETE', `${path}/one`);
    assert.equal(at(marked, 'metadata', 'deletionGracePeriodSeconds'), 20);
    const still = await api.expect(200, 'GET', `${path}/one`);
    assert.notEqual(textAt(still, 'metadata', 'deletionTimestamp'), '');
    await api.expect(200, 'DELETE', `${path}/one`, { gracePeriodSeconds: 0 });
    await api.refused(404, 'NotFound', 'GET', `${path}/one`);
  });

  test('API: binding gives a pod its node, once', async (t) => {
    const api = await client();
    const path = podsIn(await api.namespace(t));
    await api.create(path, pod('one'));
    const binding = {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { name: 'one' },
      target: { apiVersion: 'v1', kind: 'Node', name: 'contract-no-such-node' },
    };
    await api.expect(201, 'POST', `${path}/one/binding`, binding);
    const bound = await api.expect(200, 'GET', `${path}/one`);
    assert.equal(textAt(bound, 'spec', 'nodeName'), 'contract-no-such-node');
    assert.equal(textAt(bound, 'status', 'conditions', 0, 'type'), 'PodScheduled');
    await api.refused(409, 'Conflict', 'POST', `${path}/one/binding`, binding);
    await api.expect(200, 'DELETE', `${path}/one?gracePeriodSeconds=0`);
  });
}
