import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';

import { writeImage } from '../../../scripts/kubernetes/write-image.ts';
import { silentLog } from '../../lib/log.ts';
import { startRegistry } from './registry.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

interface Rig {
  readonly directory: string;
  get(path: string, init?: RequestInit): Promise<Response>;
  /** Writes an image whose one layer holds `content`, and returns the manifest's digest. */
  image(file: string, name: string, content: string): Promise<string>;
}

async function rig(t: TestContext): Promise<Rig> {
  const directory = mkdtempSync(join(tmpdir(), 'romana-registry-'));
  mkdirSync(join(directory, 'a'));
  mkdirSync(join(directory, 'b'));
  const registry = await startRegistry({
    host: '127.0.0.1',
    port: 0,
    directories: [join(directory, 'a'), join(directory, 'b')],
    log: silentLog,
  });
  t.after(async () => {
    await registry.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return {
    directory,
    get: (path, init) => fetch(`http://127.0.0.1:${registry.port}${path}`, init),
    image: async (file, name, content) => {
      const layer = mkdtempSync(join(directory, 'layer-'));
      writeFileSync(join(layer, 'content'), content);
      return writeImage(join(directory, file), { names: [name], layers: [layer] });
    },
  };
}

async function codeOf(response: Response): Promise<string | undefined> {
  const { errors } = (await response.json()) as { errors: { code: string; message: string }[] };
  return errors[0]?.code;
}

const sha256 = (content: ArrayBuffer): string =>
  `sha256:${createHash('sha256').update(new Uint8Array(content)).digest('hex')}`;

void test('startRegistry: an image can be pulled by name, manifest, config and layer', async (t) => {
  const { get, image } = await rig(t);
  const digest = await image('a/nginx.tar', 'nginx', 'hello');
  assert.equal((await get('/v2/')).status, 200);
  const byTag = await get('/v2/library/nginx/manifests/latest?ns=docker.io');
  assert.equal(byTag.status, 200);
  assert.equal(byTag.headers.get('content-type'), MANIFEST);
  assert.equal(byTag.headers.get('docker-content-digest'), digest);
  const byDigest = await get(`/v2/library/nginx/manifests/${digest}?ns=docker.io`);
  assert.equal(byDigest.headers.get('content-type'), MANIFEST);
  const text = await byTag.text();
  assert.equal(await byDigest.text(), text);
  const { config, layers } = JSON.parse(text) as Record<'config', { digest: string; size: number }> &
    Record<'layers', { digest: string; size: number }[]>;
  for (const blob of [config, ...layers]) {
    const response = await get(`/v2/library/nginx/blobs/${blob.digest}?ns=docker.io`);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-length'), String(blob.size));
    assert.equal(sha256(await response.arrayBuffer()), blob.digest);
  }
});

void test('startRegistry: HEAD says what GET says, without the content', async (t) => {
  const { get, image } = await rig(t);
  const digest = await image('a/nginx.tar', 'nginx', 'hello');
  for (const path of [`manifests/latest`, `manifests/${digest}`, `blobs/${digest}`]) {
    const whole = await get(`/v2/library/nginx/${path}`);
    const head = await get(`/v2/library/nginx/${path}`, { method: 'HEAD' });
    for (const header of ['content-type', 'content-length', 'docker-content-digest']) {
      assert.ok(head.headers.get(header) !== null, header);
      assert.equal(head.headers.get(header), whole.headers.get(header), header);
    }
    assert.equal(await head.text(), '');
    assert.equal(sha256(await whole.arrayBuffer()), digest);
  }
});

void test('startRegistry: `ns` says which registry is meant, docker.io without it', async (t) => {
  const { get, image } = await rig(t);
  const digest = await image('a/pause.tar', 'registry.k8s.io/pause:3.10', 'pause');
  const found = await get('/v2/pause/manifests/3.10?ns=registry.k8s.io');
  assert.equal(found.headers.get('docker-content-digest'), digest);
  const other = await get('/v2/pause/manifests/3.10');
  assert.equal(other.status, 404);
  assert.equal(await codeOf(other), 'MANIFEST_UNKNOWN');
});

void test('startRegistry: the newer archive of a name wins, in whichever directory, as archives come, change and go', async (t) => {
  const { directory, get, image } = await rig(t);
  const current = async (): Promise<string | null> => {
    const response = await get('/v2/library/x/manifests/latest');
    await response.arrayBuffer();
    return response.headers.get('docker-content-digest');
  };
  const put = async (file: string, content: string, time: number): Promise<string> => {
    const digest = await image('new', 'x', content);
    utimesSync(join(directory, 'new'), time, time);
    renameSync(join(directory, 'new'), join(directory, file));
    return digest;
  };
  assert.equal(await current(), null);
  const first = await put('a/z.tar', 'first', 1000);
  assert.equal(await current(), first);
  const second = await put('b/a.tar', 'second', 2000);
  assert.equal(await current(), second);
  const third = await put('a/z.tar', 'third', 3000);
  assert.equal(await current(), third);
  assert.equal((await get(`/v2/library/x/manifests/${second}`)).status, 200, 'older ones are there by digest');
  assert.equal((await get(`/v2/library/x/manifests/${first}`)).status, 404, 'replaced ones are gone');
  rmSync(join(directory, 'a/z.tar'));
  assert.equal(await current(), second);
});

void test('startRegistry: an archive that is none leaves the others be', async (t) => {
  const { directory, get, image } = await rig(t);
  await image('a/x.tar', 'x', 'hello');
  writeFileSync(join(directory, 'a/half.tar'), Buffer.alloc(700, 7));
  writeFileSync(join(directory, 'a/empty.tar'), '');
  assert.equal((await get('/v2/library/x/manifests/latest')).status, 200);
});

void test('startRegistry: a part of a blob is sent where a range asks for it', async (t) => {
  const { get, image } = await rig(t);
  const digest = await image('a/x.tar', 'x', 'hello');
  const url = `/v2/library/x/blobs/${digest}`;
  const whole = Buffer.from(await (await get(url)).arrayBuffer());
  const part = await get(url, { headers: { range: 'bytes=10-19' } });
  assert.equal(part.status, 206);
  assert.equal(part.headers.get('content-range'), `bytes 10-19/${whole.length}`);
  assert.deepEqual(Buffer.from(await part.arrayBuffer()), whole.subarray(10, 20));
  const rest = await get(url, { headers: { range: 'bytes=10-' } });
  assert.deepEqual(Buffer.from(await rest.arrayBuffer()), whole.subarray(10));
  assert.equal((await get(url, { headers: { range: `bytes=${whole.length}-` } })).status, 416);
});

void test('startRegistry: what is not there is refused in the words of the distribution spec', async (t) => {
  const { get } = await rig(t);
  const refused = async (path: string, init?: RequestInit): Promise<string> => {
    const response = await get(path, init);
    return `${response.status} ${await codeOf(response)}`;
  };
  const none = `sha256:${'0'.repeat(64)}`;
  assert.equal(await refused('/v2/library/x/manifests/latest'), '404 MANIFEST_UNKNOWN');
  assert.equal(await refused(`/v2/library/x/manifests/${none}`), '404 MANIFEST_UNKNOWN');
  assert.equal(await refused(`/v2/library/x/blobs/${none}`), '404 BLOB_UNKNOWN');
  assert.equal(await refused('/v2/library/x/blobs/sha256:1'), '400 DIGEST_INVALID');
  assert.equal(await refused('/v2/library/x/tags/list'), '404 UNSUPPORTED');
  assert.equal(await refused('/v2/library/x/blobs/uploads/', { method: 'POST' }), '405 UNSUPPORTED');
});
