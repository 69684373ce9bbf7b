import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test, type TestContext } from 'node:test';
import { netnsId } from '../kernel/netns.ts';
import type { Link } from '../kernel/links.ts';
import { ApiError } from '../kube/client.ts';
import { unwrap } from '../lib/result.ts';
import { parsePod, type Pod } from '../objects/pod.ts';
import type { Lease } from '../plan/snapshot.ts';
import { EvidenceFinder } from './evidence.ts';

const LINK = 'roma0123456789a';

function podJson(uid: string, phase = 'Running', annotations = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'a', uid, annotations },
    status: { phase },
  };
}

interface Bench {
  readonly finder: EvidenceFinder;
  readonly lease: Lease;
  /** A file in place of the namespace. */
  readonly path: string;
  links: readonly string[];
  /** The pod as the watch shows it. */
  watched: object | undefined;
  /** The pod as the API server answers. */
  answer: () => unknown;
  asked: number;
}

function bench(t: TestContext): Bench {
  const directory = mkdtempSync(`${tmpdir()}/romana-evidence-`);
  t.after(() => rmSync(directory, { recursive: true }));
  const path = `${directory}/netns`;
  writeFileSync(path, '');
  const origin = { network: 'romana', netns: path, netnsId: netnsId(path) ?? '', since: 0 };
  const links = (): Link[] => it.links.map((name) => ({ name }) as Link);
  const finder = new EvidenceFinder({
    rtnl: { links, link: (wanted) => links().find(({ name }) => name === wanted) },
    client: {
      get: async () => {
        it.asked += 1;
        return it.answer();
      },
    },
    pods: () => new Map<string, Pod>(it.watched === undefined ? [] : [['a/p', unwrap(parsePod(it.watched))]]),
  });
  const it: Bench = {
    finder,
    lease: { hostInterface: LINK, namespace: 'a', pod: 'p', uid: 'u-1', origin } as unknown as Lease,
    path,
    links: [LINK],
    watched: podJson('u-1'),
    answer: () => podJson('u-1'),
    asked: 0,
  };
  return it;
}

const HERE = { link: true, netns: 'there', pod: 'there' };

test('EvidenceFinder sees a link, a namespace and a pod that are there, and those that are gone', async (t) => {
  const it = bench(t);
  assert.deepEqual(it.finder.look()(it.lease), HERE);
  assert.deepEqual(await it.finder.recheck(it.lease), HERE);
  it.links = [];
  rmSync(it.path);
  it.watched = undefined;
  assert.deepEqual(it.finder.look()(it.lease), { link: false, netns: 'gone', pod: 'gone' });
});

test('EvidenceFinder takes another file at the path of a namespace for none', (t) => {
  const it = bench(t);
  writeFileSync(`${it.path}.new`, '');
  renameSync(`${it.path}.new`, it.path);
  assert.equal(it.finder.look()(it.lease).netns, 'gone');
  const { origin: _, ...old } = it.lease;
  assert.equal(it.finder.look()(old).netns, 'unknown', 'a lease that does not say');
});

test('EvidenceFinder knows a pod by its uid, a static one by its hash', (t) => {
  const it = bench(t);
  const pod = (): string => it.finder.look()(it.lease).pod;
  it.watched = podJson('another of that name');
  assert.equal(pod(), 'gone');
  it.watched = podJson('a mirror', 'Running', { 'kubernetes.io/config.hash': 'u-1' });
  assert.equal(pod(), 'there');
  it.watched = podJson('u-1', 'Succeeded');
  assert.equal(pod(), 'finished');
});

test('EvidenceFinder.recheck asks the API server, unless nothing of the sandbox is there', async (t) => {
  const it = bench(t);
  it.links = [];
  const pod = async (): Promise<string> => (await it.finder.recheck(it.lease)).pod;
  it.watched = undefined;
  assert.equal(await pod(), 'there', 'the watch may be late');
  it.answer = () => podJson('u-2');
  assert.equal(await pod(), 'gone');
  it.answer = () => {
    throw new ApiError({ status: 404, reason: 'NotFound', message: 'no such pod' });
  };
  assert.equal(await pod(), 'gone');
  for (const answer of [() => assert.fail('no answer'), () => ({ kind: 'Pod' })]) {
    it.answer = answer;
    assert.equal(await pod(), 'unknown');
  }
  assert.equal(it.asked, 5);
  const { origin: _, ...rest } = it.lease;
  assert.equal((await it.finder.recheck({ ...rest, uid: '', pod: '' })).pod, 'gone', 'a lease that could not be read');
  assert.equal(it.asked, 5);
  rmSync(it.path);
  assert.deepEqual(await it.finder.recheck(it.lease), { link: false, netns: 'gone', pod: 'unknown' });
  assert.equal(it.asked, 5);
});
