import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { test } from 'node:test';

const TOP = resolve(import.meta.dirname, '..');
const FILES = execFileSync('git', ['-C', TOP, 'ls-files', '--cached', '--others', '--exclude-standard'], {
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => file !== '' && !file.endsWith('package-lock.json'));
const SOURCES = FILES.filter((file) => file.startsWith('src/') && file.endsWith('.ts'));
const isTest = (file: string): boolean => file.endsWith('.test.ts');
const read = (file: string): string => readFileSync(join(TOP, file), 'utf8');

/** The layers: what a folder of src/ may import beside itself. docs/ARCHITECTURE.md draws them. */
const LAYERS: Record<string, readonly string[]> = {
  lib: [],
  addr: ['lib'],
  objects: ['lib', 'addr'],
  policy: ['lib', 'addr', 'objects'],
  nft: ['lib', 'addr', 'objects'],
  cni: ['lib', 'addr', 'objects'],
  plan: ['lib', 'addr', 'objects', 'policy', 'nft', 'cni'],
  kube: ['lib', 'addr', 'objects'],
  kernel: ['lib', 'addr', 'nft', 'plan'],
  agent: ['lib', 'addr', 'objects', 'policy', 'nft', 'cni', 'plan', 'kube', 'kernel'],
  controller: ['lib', 'addr', 'objects', 'policy', 'plan', 'kube'],
  cli: ['lib', 'addr', 'objects', 'policy', 'plan', 'kube'],
  local: ['lib', 'addr', 'objects', 'policy', 'cni', 'kube', 'kernel'],
  bin: [
    'lib',
    'addr',
    'objects',
    'policy',
    'nft',
    'cni',
    'plan',
    'kube',
    'kernel',
    'agent',
    'controller',
    'cli',
    'local',
  ],
};
/** Pure layers: functions over data, no Node, no clock, no chance, no waiting. */
const PURE = new Set(['addr', 'objects', 'policy', 'nft', 'cni', 'plan']);

/** The requirements of docs/requirements.md that hold; each has a test whose name begins with its number. */
const HELD = [
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32,
  33, 34, 35, 36, 37, 38,
];

function imports(file: string): string[] {
  return [...read(file).matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1] ?? '');
}

function layerOf(file: string): string {
  return file.split('/')[1] ?? '';
}

void test('layers: a folder imports only what stands below it', () => {
  const wrong: string[] = [];
  for (const file of SOURCES.filter((f) => !isTest(f))) {
    const layer = layerOf(file);
    const allowed = LAYERS[layer];
    assert.ok(allowed !== undefined, `${file}: the folder src/${layer} is not in the layers`);
    for (const name of imports(file).filter((i) => i.startsWith('.'))) {
      const target = relative(TOP, resolve(TOP, dirname(file), name));
      const to = layerOf(target);
      if (!target.startsWith('src/') || (to !== layer && !allowed.includes(to)))
        wrong.push(`${file} imports ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

void test('layers: pure folders know no Node, no clock, no chance and no waiting', () => {
  const wrong: string[] = [];
  for (const file of SOURCES.filter((f) => PURE.has(layerOf(f)) && !isTest(f))) {
    for (const name of imports(file).filter((i) => i.startsWith('node:'))) wrong.push(`${file} imports ${name}`);
    const code = read(file).replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
    for (const word of ['Date.now', 'new Date(', 'Math.random', 'await ', 'process.', 'setTimeout']) {
      if (code.includes(word)) wrong.push(`${file} uses ${word.trim()}`);
    }
  }
  assert.deepEqual(wrong, []);
});

void test('layers: only bin reads arguments and environment, only libc.ts calls into C', () => {
  const wrong: string[] = [];
  for (const file of SOURCES.filter((f) => !isTest(f))) {
    const code = read(file);
    if (layerOf(file) !== 'bin' && /process\.(argv|env)\b/.test(code))
      wrong.push(`${file} reads process.argv or process.env`);
    if (file !== 'src/kernel/libc.ts' && imports(file).includes('koffi')) wrong.push(`${file} imports koffi`);
  }
  assert.deepEqual(wrong, []);
});

void test('source files are named after what they export and stay short', () => {
  const wrong: string[] = [];
  for (const file of FILES.filter((f) => f.endsWith('.ts'))) {
    const lines = read(file).split('\n').length;
    if (lines > 400) wrong.push(`${file} has ${lines} lines`);
    if (!/^[a-z0-9.-]+\.ts$/.test(file.split('/').at(-1) ?? '')) wrong.push(`${file} is not in kebab-case`);
    if (/\bexport default\b|^export \* from/m.test(read(file)))
      wrong.push(`${file} has a default export or is a barrel`);
  }
  assert.deepEqual(wrong, []);
});

void test('every requirement that holds has a test that begins with its number', () => {
  const names = new Set(
    FILES.filter((f) => isTest(f) || f.startsWith('test/')).flatMap((file) =>
      [...read(file).matchAll(/['"`]R(\d+): /g)].map((match) => Number(match[1])),
    ),
  );
  assert.deepEqual(
    HELD.filter((number) => !names.has(number)),
    [],
  );
});

void test('nothing in the repository names a machine, a registry host or what lies outside it', () => {
  // In pieces, so that this file does not name them.
  const hosts = [
    ['registry', 'npmjs'],
    ['deb', 'debian', 'org'],
    ['proxy', 'golang'],
  ].map((part) => part.join('.'));
  const paths = [
    ['', 'work', ''],
    ['..', 'shared'],
  ].map((part) => part.join('/'));
  const words = [...hosts, ...paths];
  const wrong = FILES.filter((f) => !/\.(png|gz)$/.test(f)).flatMap((file) =>
    words.filter((word) => read(file).includes(word)).map((word) => `${file} contains ${word}`),
  );
  assert.deepEqual(wrong, []);
});
