import { execFile, spawn } from 'node:child_process';
import { createHash, type Hash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { constants, createGzip } from 'node:zlib';

import { fullImageName } from '../../src/local/kubernetes/image-name.ts';

/** An OCI image to be written. */
export interface Image {
  /** Names as in a pod's spec; short ones are completed. */
  readonly names: readonly string[];
  /** Directories, one a layer, the lowest first. */
  readonly layers: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly cmd?: readonly string[];
  /** `USER:GROUP`; root when missing. */
  readonly user?: string;
  readonly workdir?: string;
  /** `NAME=VALUE`, beside PATH. */
  readonly env?: readonly string[];
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const OCI = 'application/vnd.oci.image';
const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** What Go, and with it OCI, calls the architectures that Node names otherwise. */
const GO_ARCHITECTURES: Record<string, string> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' };
/** GNU tar's way to equal tars of equal files, whoever owns them and whenever they were made. */
const REPRODUCIBLE = ['--format=gnu', '--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner'];

/**
 * Writes `image` as an OCI image layout (image-spec, image-layout.md) in a tar at `out`, which `ctr images import` and
 * the local registry take. Equal directories give equal digests. `out` is put there whole, or not at all.
 *
 * @returns the digest of the image's manifest.
 */
export async function writeImage(out: string, image: Image): Promise<string> {
  const layout = `${out}.${process.pid}.new`;
  try {
    await mkdir(join(layout, 'blobs/sha256'), { recursive: true });
    const layers: { blob: Descriptor; diffId: string }[] = [];
    for (const directory of image.layers) layers.push(await writeLayer(layout, directory));
    const platform = { architecture: GO_ARCHITECTURES[process.arch] ?? process.arch, os: 'linux' };
    const config = await writeJson(layout, 'config', {
      ...platform,
      config: runConfig(image),
      rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    });
    const manifest = await writeJson(layout, 'manifest', {
      schemaVersion: 2,
      mediaType: `${OCI}.manifest.v1+json`,
      config,
      layers: layers.map(({ blob }) => blob),
    });
    const index = {
      schemaVersion: 2,
      mediaType: `${OCI}.index.v1+json`,
      manifests: image.names.map((name) => named({ ...manifest, platform }, fullImageName(name))),
    };
    await writeFile(join(layout, 'index.json'), JSON.stringify(index));
    await writeFile(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
    const tar = join(layout, 'tar');
    const entries = ['oci-layout', 'index.json', 'blobs'];
    await promisify(execFile)('tar', [...REPRODUCIBLE, '-C', layout, '-cf', tar, ...entries]);
    await rename(tar, out);
    return manifest.digest;
  } finally {
    await rm(layout, { recursive: true, force: true });
  }
}

/** What a container of the image runs, as image-spec's config.md has it. */
function runConfig(image: Image): object {
  return {
    Env: [PATH, ...(image.env ?? [])],
    WorkingDir: image.workdir ?? '/',
    ...(image.entrypoint === undefined ? {} : { Entrypoint: image.entrypoint }),
    ...(image.cmd === undefined ? {} : { Cmd: image.cmd }),
    ...(image.user === undefined ? {} : { User: image.user }),
  };
}

function named(manifest: object, name: string): object {
  const annotations = { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': name };
  return { ...manifest, annotations };
}

async function writeLayer(layout: string, directory: string): Promise<{ blob: Descriptor; diffId: string }> {
  const entries = (await readdir(directory)).sort();
  const tar = spawn('tar', [...REPRODUCIBLE, '-C', directory, '-cf', '-', '--', ...entries], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve, reject) => {
    tar.once('error', reject);
    tar.once('close', (status, signal) => {
      if (status === 0) resolve();
      else reject(new Error(`tar of ${directory} ended with ${signal ?? status}`));
    });
  });
  const file = join(layout, 'layer');
  const plain = createHash('sha256');
  const compressed = createHash('sha256');
  // Level 1: the archives are read on this machine only, and soon.
  const gzip = createGzip({ level: constants.Z_BEST_SPEED });
  await Promise.all([pipeline(tar.stdout, hashing(plain), gzip, hashing(compressed), createWriteStream(file)), ended]);
  const blob = await keepBlob(layout, file, compressed, `${OCI}.layer.v1.tar+gzip`);
  return { blob, diffId: `sha256:${plain.digest('hex')}` };
}

async function writeJson(layout: string, kind: 'config' | 'manifest', value: object): Promise<Descriptor> {
  const file = join(layout, kind);
  const content = JSON.stringify(value);
  await writeFile(file, content);
  return keepBlob(layout, file, createHash('sha256').update(content), `${OCI}.${kind}.v1+json`);
}

async function keepBlob(layout: string, file: string, hash: Hash, mediaType: string): Promise<Descriptor> {
  const hex = hash.digest('hex');
  const { size } = await stat(file);
  await rename(file, join(layout, 'blobs/sha256', hex));
  return { mediaType, digest: `sha256:${hex}`, size };
}

/** Passes bytes on and hashes them on the way. */
function hashing(hash: Hash): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done): void {
      hash.update(chunk);
      done(null, chunk);
    },
  });
}
