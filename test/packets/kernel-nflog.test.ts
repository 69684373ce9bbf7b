import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { isKernelError } from '../../src/kernel/kernel-error.ts';
import { LibNft } from '../../src/kernel/libnftables.ts';
import { type LoggedPacket, Nflog } from '../../src/kernel/nflog.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { TestNetns } from '../support/netns.ts';

const GROUP = 9671;
/** What goes out by lo is counted and told of, within a limit, and dropped. */
const TABLE = `table inet t {
	set tally {
		type ifname
		counter limit rate 1/hour burst 4 packets
		elements = { "lo", "other" }
	}
	set plain {
		type ifname
		counter
		elements = { "lo" }
	}
	chain output {
		type filter hook output priority filter; policy accept;
		oifname @plain
		oifname @tally log prefix "told of" group ${GROUP} snaplen 128
		drop
	}
}
`;

async function worldOf(t: TestContext): Promise<{ ns: TestNetns; nft: LibNft }> {
  const ns = TestNetns.create('nflog');
  t.after(() => ns[Symbol.asyncDispose]());
  await ns.run(['ip', 'link', 'set', 'lo', 'up']);
  const nft = new LibNft({ netns: ns.path });
  t.after(() => nft.close());
  nft.run(TABLE);
  return { ns, nft };
}

function listen(t: TestContext, ns: TestNetns): { readonly nflog: Nflog; readonly heard: LoggedPacket[] } {
  const heard: LoggedPacket[] = [];
  const nflog = new Nflog({
    group: GROUP,
    netns: ns.path,
    onPacket: (packet) => heard.push(packet),
    onLost: (count) => assert.fail(`${count} lost`),
    onEnded: (error) => assert.fail(error),
  });
  t.after(() => nflog.close());
  return { nflog, heard };
}

const send = (ns: TestNetns, what: string): Promise<string> => ns.run(['bash', '-c', `${what} || true`]);

test('Nflog hears both ends, protocol and ports of what a rule tells of, in both families, within its limit', async (t) => {
  const { ns, nft } = await worldOf(t);
  const { heard } = listen(t, ns);
  await send(ns, 'echo x >/dev/udp/127.0.0.1/53');
  await send(ns, 'echo x >/dev/udp/::1/54');
  await send(ns, 'timeout 0.1 bash -c "echo >/dev/tcp/::1/80"');
  await send(ns, 'ping -q -c 1 -W 0.1 127.0.0.1 >&2');
  for (let n = 0; n < 20; n += 1) await send(ns, 'echo x >/dev/udp/127.0.0.1/55');
  await waitFor('4 packets', () => heard.length >= 4);
  assert.deepEqual(
    heard.map(({ src, dst, protocol, ports, prefix }) => [src, dst, protocol, ports?.dst, prefix]),
    [
      ['127.0.0.1', '127.0.0.1', 17, 53, 'told of'],
      ['::1', '::1', 17, 54, 'told of'],
      ['::1', '::1', 6, 80, 'told of'],
      ['127.0.0.1', '127.0.0.1', 1, undefined, 'told of'],
    ],
  );
  const [{ packets } = { packets: 0 }] = nft.counters('t', 'plain');
  assert.ok(packets >= 24, 'all are counted');
  assert.deepEqual(
    nft.counters('t', 'tally').toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    [
      { name: 'lo', packets },
      { name: 'other', packets: 0 },
    ],
  );
});

test('LibNft.counters says what is not there', async (t) => {
  const { nft } = await worldOf(t);
  assert.throws(
    () => nft.counters('t', 'nobody'),
    (error) => isKernelError(error, 'ENOENT') && error.message.includes('set nobody of inet t'),
  );
});

test('Nflog is refused a group that somebody else listens to, and gets it when it is free again', async (t) => {
  const { ns } = await worldOf(t);
  const { nflog } = listen(t, ns);
  assert.throws(() => listen(t, ns), /NFLOG group 9671.*(EPERM|EBUSY)/);
  nflog.close();
  const again = await waitFor('the group', () => {
    try {
      return listen(t, ns);
    } catch {
      return undefined;
    }
  });
  await send(ns, 'echo x >/dev/udp/127.0.0.1/53');
  await waitFor('a packet', () => again.heard.length === 1);
});
