import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { FakeClock } from '../lib/fake-clock.ts';
import { unwrap } from '../lib/result.ts';
import type { Connection } from './connection.ts';
import { type ClusterSearch, findCluster } from './credentials.ts';
import { readKubeconfig } from './kubeconfig.ts';

const clock = new FakeClock();

/** A kubeconfig with one of everything, all named `name`. */
function kubeconfig(name: string, user: object = { token: `${name}-token` }, cluster: object = {}): string {
  return JSON.stringify({
    'current-context': name,
    contexts: [{ name, context: { cluster: name, user: name } }],
    clusters: [{ name, cluster: { server: `https://${name}:6443`, ...cluster } }],
    users: [{ name, user }],
  });
}

async function folder(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'romana-credentials-'));
  t.after(() => rm(root, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  return root;
}

/** A search in which everything is there. */
async function everything(t: TestContext): Promise<ClusterSearch & { readonly root: string }> {
  const root = await folder(t, {
    'flag.yaml': kubeconfig('by-flag'),
    'env.yaml': kubeconfig('by-env'),
    'home/.kube/config': kubeconfig('by-home'),
    'local/one/kubeconfig': kubeconfig('one'),
    'local/stopped/state.json': '{}',
    'sa/token': 'sa-token\n',
    'sa/ca.crt': 'PEM',
  });
  return {
    root,
    kubeconfigFlag: join(root, 'flag.yaml'),
    nameFlag: 'one',
    kubeconfigEnv: join(root, 'env.yaml'),
    serviceAccountDir: join(root, 'sa'),
    serviceHost: 'fd00::1',
    servicePort: '443',
    localRoot: join(root, 'local'),
    home: join(root, 'home'),
    clock,
  };
}

async function tokenOf(c: Connection): Promise<string | undefined> {
  return c.token?.(false);
}

void test('findCluster takes the first source that is there, in the documented order', async (t) => {
  const all = await everything(t);
  const withoutFlag = { ...all, kubeconfigFlag: undefined };
  const withoutName = { ...withoutFlag, nameFlag: undefined };
  const withoutEnv = { ...withoutName, kubeconfigEnv: '' };
  const outsidePod = { ...withoutEnv, serviceHost: undefined };
  const withoutLocal = { ...outsidePod, localRoot: join(all.root, 'none') };
  const table: [ClusterSearch, string, string][] = [
    [all, 'flag', 'https://by-flag:6443'],
    [withoutFlag, 'name', 'https://one:6443'],
    [withoutName, 'env', 'https://by-env:6443'],
    [withoutEnv, 'service-account', 'https://[fd00::1]:443'],
    [outsidePod, 'only-local', 'https://one:6443'],
    [withoutLocal, 'home', 'https://by-home:6443'],
  ];
  for (const [search, foundBy, server] of table) {
    const found = unwrap(await findCluster(search));
    assert.deepEqual([found.foundBy, found.connection.server], [foundBy, server]);
    assert.ok(found.describe.endsWith(`, at ${server}`), found.describe);
  }
});

void test('findCluster reads token and authority of a service account', async (t) => {
  const all = await everything(t);
  const search = { ...all, kubeconfigFlag: undefined, nameFlag: undefined, kubeconfigEnv: undefined };
  const { connection } = unwrap(await findCluster(search));
  assert.deepEqual([connection.ca, await tokenOf(connection)], ['PEM', 'sa-token']);
});

void test('findCluster names the local clusters that run when --name names none of them', async (t) => {
  const all = await everything(t);
  assert.deepEqual(await findCluster({ ...all, kubeconfigFlag: undefined, nameFlag: 'two' }), {
    ok: false,
    error: 'no local cluster is named "two" (running: one)',
  });
});

void test('findCluster takes no other cluster when the first source cannot be used', async (t) => {
  const all = await everything(t);
  const found = await findCluster({ ...all, kubeconfigFlag: join(all.root, 'none.yaml') });
  assert.match(found.ok ? '' : found.error, /cannot read the kubeconfig: ENOENT.*none\.yaml/);
});

void test('findCluster asks which one when several local clusters run and there is nothing else', async (t) => {
  const localRoot = await folder(t, { 'a/kubeconfig': kubeconfig('a'), 'b/kubeconfig': kubeconfig('b') });
  assert.deepEqual(await findCluster({ localRoot, clock }), {
    ok: false,
    error: 'several local clusters run (a, b): say which with --name',
  });
  const none = await findCluster({ localRoot: join(localRoot, 'none'), clock });
  assert.match(none.ok ? '' : none.error, /^no cluster found/);
});

void test('readKubeconfig merges files, the first to name something has it', async (t) => {
  const root = await folder(t, {
    one: JSON.stringify({ users: [{ name: 'two', user: { token: 'of one' } }] }),
    two: kubeconfig('two'),
  });
  const paths = ['one', 'missing', 'two'].map((name) => join(root, name));
  const { connection, context } = unwrap(await readKubeconfig(paths, clock));
  assert.deepEqual([context, connection.server, await tokenOf(connection)], ['two', 'https://two:6443', 'of one']);
});

void test('readKubeconfig reads inline data and files beside the kubeconfig', async (t) => {
  const user = { 'client-certificate': 'tls/c.pem', 'client-key-data': Buffer.from('KEY').toString('base64') };
  const cluster = { 'certificate-authority': 'tls/ca.pem', 'tls-server-name': 'kubernetes' };
  const files = { config: kubeconfig('x', user, cluster), 'tls/c.pem': 'CERT', 'tls/ca.pem': 'CA' };
  const root = await folder(t, files);
  const { connection } = unwrap(await readKubeconfig([join(root, 'config')], clock));
  const { ca, certificate, key, serverName, insecure } = connection;
  assert.deepEqual([ca, certificate, key, serverName, insecure], ['CA', 'CERT', 'KEY', 'kubernetes', false]);
});

void test('readKubeconfig asks an exec plugin, and asks again when its token is refused', async (t) => {
  const credential = `'{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"t'$n'"}}'`;
  const script = `#!/bin/sh\ncd "$(dirname "$0")"; n=$(cat n 2>/dev/null || echo 0); n=$((n + 1)); echo $n > n\necho ${credential}\n`;
  const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: './plugin', interactiveMode: 'Never' };
  const root = await folder(t, { config: kubeconfig('x', { exec }), plugin: script });
  await chmod(join(root, 'plugin'), 0o755);
  const { connection } = unwrap(await readKubeconfig([join(root, 'config')], clock));
  assert.equal(await tokenOf(connection), 't1');
  assert.equal(await connection.token?.(true), 't2');
});

void test('readKubeconfig refuses what it cannot use, and says what it found', async (t) => {
  const root = await folder(t, {
    text: 'just a word',
    yaml: 'a: [',
    context: JSON.stringify({ 'current-context': 'gone' }),
    user: JSON.stringify({ ...(JSON.parse(kubeconfig('x')) as object), users: [] }),
    proxy: kubeconfig('x', {}, { 'proxy-url': 'http://p' }),
    as: kubeconfig('x', { as: 'somebody' }),
    ca: kubeconfig('x', {}, { 'certificate-authority': 'none.pem' }),
  });
  const table: [string, RegExp][] = [
    ['text', /text is no kubeconfig/],
    ['yaml', /yaml is no YAML/],
    ['context', /has no context "gone"/],
    ['user', /has no user "x"/],
    ['proxy', /proxy/],
    ['as', /impersonates/],
    ['ca', /certificate-authority.*none\.pem/],
  ];
  for (const [name, message] of table) {
    const read = await readKubeconfig([join(root, name)], clock);
    assert.match(read.ok ? 'read' : read.error, message);
  }
});
