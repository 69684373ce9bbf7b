import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { unwrap } from '../../src/lib/result.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { type Condition, parseHostReport } from '../../src/objects/host-report.ts';
import { HOST_REPORTS, NODES } from '../../src/objects/resources.ts';
import { Rig } from '../support/rig.ts';

/** What the checks are about; another condition, on policies, has nothing to do with them. */
const CHECKED = ['ForwardingAllowed', 'HostsReachable', 'NetworkSelected'];
/** An agent looks every 10 s and reports 2 s later. */
const SEEN_MS = 30_000;

describe('the HostReport names what blocks pods on a host', () => {
  let rig: Rig;
  before(async () => {
    rig = await Rig.start({ hosts: 2 });
  });
  after(() => rig[Symbol.asyncDispose]());

  async function conditions(host: number): Promise<ReadonlyMap<string, Condition>> {
    const report = unwrap(parseHostReport(await rig.api.client.get(HOST_REPORTS, rig.host(host).name)));
    return new Map(report.conditions.map((condition) => [condition.type, condition]));
  }

  /** Waits until all that is checked of the host says `status`, and gives their reasons and messages. */
  async function untilAll(host: number, status: Condition['status']): Promise<readonly string[]> {
    return await waitFor(
      `what is checked of host ${host} to be ${status}`,
      async () => {
        const known = await conditions(host);
        const found = CHECKED.flatMap((type) => known.get(type) ?? []);
        if (found.length < CHECKED.length || found.some((each) => each.status !== status)) return undefined;
        return found.map(({ reason, message }) => `${reason}: ${message}`);
      },
      { timeoutMs: SEEN_MS },
    );
  }

  test('others that drop forwarded packets, a node behind a router, another network first; and when they are gone', async () => {
    await Promise.all([untilAll(0, 'True'), untilAll(1, 'True')]);
    const { ns } = rig.host(0);
    const other = rig.host(0).path('/etc/cni/net.d/05-bridge.conflist');
    await ns.run([
      'nft',
      'add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }',
    ]);
    writeFileSync(other, '{}');
    await rig.api.client.create(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'far' } });
    const status = { addresses: [{ type: 'InternalIP', address: '198.51.100.9' }] };
    await rig.api.client.patch(NODES, 'far', { status }, { subresource: 'status' });

    const [forwarding, hosts, network] = await untilAll(0, 'False');
    assert.match(
      forwarding ?? '',
      /^ForeignForwardDrop: chain FORWARD of table ip filter .*accept 10\.0\.0\.0\/8 and fd00:10::\/64/,
    );
    assert.match(hosts ?? '', /^NotOnLink: far \(198\.51\.100\.9\) is behind a router/);
    assert.match(network ?? '', /^OtherNetworkFirst: .*05-bridge\.conflist/);
    assert.equal((await conditions(1)).get('ForwardingAllowed')?.status, 'True', 'the other host has no such chain');

    await ns.run(['nft', 'delete table ip filter']);
    rmSync(other);
    await rig.api.client.delete(NODES, 'far');
    await untilAll(0, 'True');
  });
});
