import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { unwrap } from '../../lib/result.ts';
import type { JsonObject } from '../../objects/field.ts';
import { networkToJson, parseNetwork } from '../../objects/network.ts';
import { readDeployManifests } from './deploy-manifests.ts';
import { installObjects } from './install-objects.ts';

const manifests = await readDeployManifests(fileURLToPath(new URL('../../../deploy', import.meta.url)));
const defaults = networkToJson(unwrap(parseNetwork({ metadata: { name: 'default' }, spec: {} })));

interface Pod {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly data?: Record<string, string>;
  readonly spec: {
    readonly template: {
      readonly spec: { readonly containers: readonly (JsonObject & { readonly env: readonly JsonObject[] })[] };
    };
  };
}

const named = (objects: readonly JsonObject[], kind: string): Pod =>
  objects.find((object) => object['kind'] === kind) as unknown as Pod;

test('installObjects with the default Network makes what deploy/base holds', () => {
  assert.deepEqual(installObjects(manifests, { network: defaults }), manifests.base);
  assert.deepEqual(installObjects(manifests, {}), manifests.base);
});

test('installObjects puts image, pull policy and API server into both parts', () => {
  const objects = installObjects(manifests, {
    image: 'example.org/romana:2',
    imagePullPolicy: 'Always',
    apiServer: { host: 'fd00::1', port: 6443 },
  });
  for (const kind of ['DaemonSet', 'Deployment']) {
    const [container] = named(objects, kind).spec.template.spec.containers;
    assert.equal(container?.['image'], 'example.org/romana:2');
    assert.equal(container['imagePullPolicy'], 'Always');
    const env = Object.fromEntries(container.env.map(({ name, value }) => [name, value]));
    assert.equal(env['KUBERNETES_SERVICE_HOST'], 'fd00::1');
    assert.equal(env['KUBERNETES_SERVICE_PORT'], '6443');
    assert.ok('NODE_NAME' in env);
  }
});

test('installObjects gives the controller the Network, and with it last the Network and the tenants of the demo', () => {
  const network = { ...defaults, spec: { plans: [] } };
  const objects = installObjects(manifests, { network, demo: true, withNetwork: true });
  assert.deepEqual(parse(named(objects, 'ConfigMap').data?.['network.yaml'] ?? ''), network);
  const added = objects.slice(manifests.base.length) as unknown as readonly Pod[];
  assert.deepEqual(
    added.map(({ kind, metadata }) => `${kind} ${metadata.name}`),
    ['Namespace tenant-a', 'Namespace tenant-b', 'Network default'],
  );
});

test('deploy/base has the image of the version that this is', async () => {
  const { version } = JSON.parse(await readFile(new URL('../../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  for (const kind of ['DaemonSet', 'Deployment']) {
    const [container] = named(manifests.base, kind).spec.template.spec.containers;
    assert.equal(container?.['image'], `romana:${version}`);
  }
});
