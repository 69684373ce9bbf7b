import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unwrap } from '../../lib/result.ts';
import { resolveImage } from './images.ts';
import type { ContainerSpec } from './pod-spec.ts';

const SOURCES = { nginx: '/n', nginxLibraries: ['usr/lib/x'], checkout: '/c' };

function container(more: Partial<ContainerSpec>): ContainerSpec {
  return { name: 'main', image: 'nginx', command: undefined, args: undefined, env: {}, workingDir: '/', ...more };
}

test("resolveImage runs a container's own command, whatever the image", () => {
  const recipe = unwrap(
    resolveImage(container({ image: 'no/such', command: ['a'], args: ['b'], env: { X: '1' } }), SOURCES),
  );
  assert.deepEqual(recipe.command, ['a', 'b']);
  assert.deepEqual(Object.keys(recipe.env), ['PATH', 'X']);
});

for (const image of ['nginx', 'nginx:1.27', 'library/nginx', 'docker.io/library/nginx:latest', 'nginx@sha256:00']) {
  test(`resolveImage knows ${image} as Debian's nginx`, () => {
    const recipe = unwrap(resolveImage(container({ image }), SOURCES));
    assert.deepEqual([recipe.command[0], recipe.command.at(-1)], ['sh', '/n']);
    assert.equal(recipe.env['LD_LIBRARY_PATH'], '/n/usr/lib/x');
  });
}

test('resolveImage knows romana as this program, whose name is enough in the container', () => {
  const recipe = unwrap(resolveImage(container({ image: 'romana:1.0', args: ['ip'] }), SOURCES));
  assert.deepEqual(recipe.command, ['/c/bin/romana', 'ip']);
  assert.match(recipe.env['PATH'] ?? '', /^\/c\/bin:/);
});

for (const image of ['other', 'example.com/nginx', 'me/nginx']) {
  test(`resolveImage refuses ${image}, saying what it knows`, () => {
    const refused = resolveImage(container({ image }), SOURCES);
    assert.ok(!refused.ok);
    assert.match(refused.error, new RegExp(`no recipe for image "${image}"`));
  });
}

test('resolveImage says how nginx gets on this machine when it is not', () => {
  const refused = resolveImage(container({}), { ...SOURCES, nginx: undefined });
  assert.ok(!refused.ok);
  assert.match(refused.error, /set-up unpacks it/);
});
