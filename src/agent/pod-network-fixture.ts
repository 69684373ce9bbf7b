import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { DEFAULT_PLANS } from '../addr/plan.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { silentLog } from '../lib/log.ts';
import { ok } from '../lib/result.ts';
import { AddressBook } from './address-book.ts';
import { hostInterfaceName } from './attachment-names.ts';
import { FakeDatapath } from './fake-datapath.ts';
import { LeaseStore } from './leases.ts';
import { type AddRequest, type Identities, PodNetwork } from './pod-network.ts';

/** Who all pods are. */
export const IDENTITY = {
  labels: new Map([['segment', 'frontend']]),
  segment: 'frontend',
  hostId: 1,
  tenantId: 1,
  segmentId: 1,
  pool: false,
  plans: DEFAULT_PLANS,
};

/** A pod network on fakes. */
export interface PodNetworkRig {
  readonly datapath: FakeDatapath;
  readonly leases: LeaseStore;
  readonly book: AddressBook;
  readonly clock: FakeClock;
  readonly network: PodNetwork;
  readonly directory: string;
}

/** A pod network on fakes; `directory` is that of an earlier one whose agent has ended. */
export function podNetworkRig(
  t: TestContext,
  { identities, directory }: { identities?: Identities; directory?: string } = {},
): PodNetworkRig {
  const folder = directory ?? mkdtempSync(join(tmpdir(), 'romana-pods-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const clock = new FakeClock(1_000_000);
  const datapath = new FakeDatapath();
  const leases = new LeaseStore(folder, silentLog);
  const book = new AddressBook(clock, () => false);
  const network = new PodNetwork({
    datapath,
    identities: identities ?? { forPod: () => Promise.resolve(ok(IDENTITY)) },
    leases,
    book,
    network: () => ({ plans: DEFAULT_PLANS, mtu: 1500 }),
    clock,
    log: silentLog,
  });
  return { datapath, leases, book, clock, network, directory: folder };
}

/** The ADD of pod `n`. */
export function request(n = 1): AddRequest {
  const pod = { namespace: 'tenant-a', name: `web-${n}`, uid: `u-${n}` };
  return { network: 'romana', attachment: { containerId: `c${n}`, ifname: 'eth0' }, netns: `/run/netns/c${n}`, pod };
}

/** The signal of a call that nobody ends. */
export const never = new AbortController().signal;
/** The host's interface of pod `n`. */
export const name = (n = 1): string => hostInterfaceName(request(n).attachment);

/** Fails when anything of any pod is there. */
export function assertNothingLeft({ datapath, leases, book, directory }: PodNetworkRig): void {
  assert.deepEqual(leases.addresses(), []);
  assert.deepEqual(book.taken(), []);
  assert.deepEqual([...datapath.links], []);
  assert.deepEqual([...datapath.enforced], []);
  assert.deepEqual(readdirSync(directory), []);
}
