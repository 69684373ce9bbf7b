import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';

import { readImageArchive } from '../../src/local/kubernetes/image-archive.ts';
import { writeImage } from './write-image.ts';

// Modes are compared below.
process.umask(0o022);

function scratch(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'romana-image-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A small root directory, made at `time` in seconds. */
function root(at: string, time: number): string {
  mkdirSync(join(at, 'bin'), { recursive: true });
  writeFileSync(join(at, 'bin/run'), '#!/bin/sh\n');
  chmodSync(join(at, 'bin/run'), 0o755);
  symlinkSync('bin/run', join(at, 'start'));
  utimesSync(join(at, 'bin/run'), time, time);
  return at;
}

void test('writeImage: equal directories give one digest, whenever they were made', async (t) => {
  const directory = scratch(t);
  const a = root(join(directory, 'a'), 1_000_000_000);
  const b = root(join(directory, 'b'), 1_500_000_000);
  const of = (layer: string, file: string): Promise<string> =>
    writeImage(join(directory, file), { names: ['x'], layers: [layer] });
  assert.equal(await of(a, 'a.tar'), await of(b, 'b.tar'));
  assert.deepEqual(readFileSync(join(directory, 'a.tar')), readFileSync(join(directory, 'b.tar')));
  writeFileSync(join(b, 'bin/run'), '#!/bin/bash\n');
  assert.notEqual(await of(a, 'a.tar'), await of(b, 'b.tar'));
});

void test('writeImage: layers unpack to what they were made of, and the config says what to run', async (t) => {
  const directory = scratch(t);
  const upper = join(directory, 'upper');
  mkdirSync(join(upper, 'etc'), { recursive: true });
  writeFileSync(join(upper, 'etc/name'), 'upper\n');
  const out = join(directory, 'image.tar');
  const digest = await writeImage(out, {
    names: ['x', 'registry.k8s.io/y:1'],
    layers: [root(join(directory, 'lower'), 0), upper],
    entrypoint: ['/bin/run', 'a b,c'],
    cmd: ['d'],
    user: '65535:65535',
    workdir: '/etc',
    env: ['E=1'],
  });

  const archive = readImageArchive(out);
  assert.deepEqual([...archive.names.keys()], ['docker.io/library/x:latest', 'registry.k8s.io/y:1']);
  assert.ok([...archive.names.values()].every((named) => named.digest === digest));
  const blob = (of: string): Buffer => {
    const place = archive.blobs.get(of);
    assert.ok(place !== undefined, `${of} is in the archive`);
    return readFileSync(out).subarray(place.offset, place.offset + place.size);
  };
  const manifest = JSON.parse(blob(digest).toString()) as { config: { digest: string }; layers: { digest: string }[] };
  const { config, rootfs } = JSON.parse(blob(manifest.config.digest).toString()) as Record<string, object>;
  assert.deepEqual(config, {
    Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'E=1'],
    WorkingDir: '/etc',
    Entrypoint: ['/bin/run', 'a b,c'],
    Cmd: ['d'],
    User: '65535:65535',
  });
  assert.equal((rootfs as { diff_ids: string[] }).diff_ids.length, 2);
  const listings = manifest.layers.map((layer) =>
    execFileSync('tar', ['-tvzf', '-', '--utc'], { input: blob(layer.digest), encoding: 'utf8' })
      .trim()
      .split('\n')
      .map((line) => line.replaceAll(/ +/g, ' ')),
  );
  assert.deepEqual(listings, [
    [
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 bin/',
      '-rwxr-xr-x 0/0 10 1970-01-01 00:00 bin/run',
      'lrwxrwxrwx 0/0 0 1970-01-01 00:00 start -> bin/run',
    ],
    ['drwxr-xr-x 0/0 0 1970-01-01 00:00 etc/', '-rw-r--r-- 0/0 6 1970-01-01 00:00 etc/name'],
  ]);
});

void test('writeImage leaves what was there, and nothing beside it, when a layer is missing', async (t) => {
  const directory = scratch(t);
  const out = join(directory, 'image.tar');
  writeFileSync(out, 'before');
  await assert.rejects(writeImage(out, { names: ['x'], layers: [join(directory, 'none')] }), /ENOENT/);
  assert.deepEqual(readdirSync(directory), ['image.tar']);
  assert.equal(readFileSync(out, 'utf8'), 'before');
});
