import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';

const TOP = resolve(import.meta.dirname, '../..');
const VERSION = '7.8.9-test';
const MOST_BYTES = 80_000_000;
const PROGRAM = 'usr/local/lib/romana';

interface Descriptor {
  readonly digest: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

interface ImageManifest {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

interface ImageConfig {
  readonly config: { readonly Entrypoint: readonly string[] };
  readonly architecture: string;
}

let folder = '';
/** The root of a container of the image. */
let root = '';
/** Paths of all files in it, without the slash in front. */
let files: readonly string[] = [];

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'romana-image-'));
  root = join(folder, 'root');
  mkdirSync(root);
  build('one.tar');
  unpack('one.tar', join(folder, 'layout'));
  for (const { digest } of manifest().layers) unpack(blobPath(digest), root);
  files = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
});

after(() => rmSync(folder, { recursive: true, force: true }));

test('the image is the same when it is built again', () => {
  build('two.tar');
  const digests = ['one.tar', 'two.tar'].map((name) =>
    createHash('sha256')
      .update(readFileSync(join(folder, name)))
      .digest('hex'),
  );
  assert.equal(digests[0], digests[1]);
});

test('the image has the name, the version and the entrypoint that manifests expect, and is small', () => {
  const [image, ...more] = index().manifests;
  assert.deepEqual(more, []);
  assert.equal(image?.annotations?.['io.containerd.image.name'], `docker.io/library/romana:${VERSION}`);
  const { config, architecture } = blob(manifest().config.digest) as ImageConfig;
  assert.deepEqual(config.Entrypoint, ['/usr/local/bin/romana']);
  assert.equal(architecture, { x64: 'amd64' }[process.arch as string] ?? process.arch);
  const { size } = statSync(join(folder, 'one.tar'));
  assert.ok(size <= MOST_BYTES, `${size} bytes compressed`);
});

test('the image runs by itself: the program, the call into C, and the library of nftables', () => {
  assert.equal(inImage('romana', '--version'), `${VERSION}\n`);
  assert.match(inImage('romana', 'ip', '10.1.17.3'), /^ {2}segment +1$/m);
  assert.doesNotMatch(inImage('romana', '--help'), /^ {2}local/m);
  const list = `const { LibNft } = await import('/${PROGRAM}/src/kernel/libnftables.js');
    const nft = new LibNft();
    nft.run('add table inet romana; add chain inet romana c; add rule inet romana c meta l4proto icmpv6 accept');
    console.log(nft.list('romana'));
    nft.close();`;
  assert.match(inImage('node', '--input-type=module', '-e', list), /meta l4proto ipv6-icmp accept/);
});

test('the image has what the program needs at run time and nothing else: no shell, no package tools, no tests', () => {
  const programs = files.filter((file) => /(^|\/)s?bin\//.test(file) && !file.startsWith(PROGRAM));
  assert.deepEqual(programs.toSorted(), ['usr/local/bin/node', 'usr/local/bin/romana']);
  const wrong = files.filter(
    (file) =>
      /\.ts$|\.map$|\.log$|^var\/cache\//.test(file) || /romana\/src\/.*(\.test\.|fixture|fake-|\/local)/.test(file),
  );
  assert.deepEqual(wrong, []);
  assert.equal(files.filter((file) => file.endsWith('.node')).length, 1, 'one native build of koffi');
  // Where `romana agent` looks for it.
  assert.ok((lstatSync(join(root, PROGRAM, '.cache/launcher/romana')).mode & 0o111) !== 0);
  assert.ok(files.includes(`${PROGRAM}/deploy/base/agent.yaml`));
});

function build(name: string): void {
  const words = ['image/build.sh', '--version', VERSION, '--out', join(folder, name)];
  execFileSync('sh', words, { cwd: TOP, stdio: ['ignore', 'pipe', 'pipe'] });
}

function unpack(archive: string, to: string): void {
  mkdirSync(to, { recursive: true });
  execFileSync('tar', ['-x', '-C', to, '-f', resolve(folder, archive)]);
}

/** What a program of the image prints, in a network namespace of its own and with /proc alone of this machine. */
function inImage(program: string, ...words: readonly string[]): string {
  const start = 'mkdir -p "$0/proc"; mount --bind /proc "$0/proc"; exec chroot "$0" "$@"';
  const call = ['-n', '-m', 'sh', '-ec', start, root, `/usr/local/bin/${program}`, ...words];
  const { status, stdout, stderr } = spawnSync('unshare', call, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return stdout;
}

function index(): { readonly manifests: readonly Descriptor[] } {
  return JSON.parse(readFileSync(join(folder, 'layout/index.json'), 'utf8')) as { manifests: Descriptor[] };
}

function manifest(): ImageManifest {
  const [image] = index().manifests;
  assert.ok(image !== undefined);
  return blob(image.digest) as ImageManifest;
}

function blob(digest: string): unknown {
  return JSON.parse(readFileSync(blobPath(digest), 'utf8'));
}

function blobPath(digest: string): string {
  return join(folder, 'layout/blobs', digest.replace(':', '/'));
}
