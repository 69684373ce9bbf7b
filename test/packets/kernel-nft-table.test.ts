import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { familyOf, parseAddress, type Address } from '../../src/addr/address.ts';
import { LibNft } from '../../src/kernel/libnftables.ts';
import { NftTable } from '../../src/kernel/nft-table.ts';
import { unwrap } from '../../src/lib/result.ts';
import { newConnectionPacket } from '../../src/nft/machine-packet.ts';
import { type MachineTable, walk } from '../../src/nft/machine.ts';
import { replaceText } from '../../src/nft/text.ts';
import { plan } from '../../src/plan/desired.ts';
import { worlds } from '../../src/plan/random-worlds.ts';
import { forwardVerdict, inputVerdict } from '../../src/plan/rules-interpreter.ts';
import type { Snapshot } from '../../src/plan/snapshot.ts';
import { TestNetns } from '../support/netns.ts';

const OTHERS = ['10.2.17.9', '10.2.241.3', '192.0.2.7', '192.168.99.12', 'fd00:10::2:1:1:9', 'fd00:aa::1'].map((text) =>
  unwrap(parseAddress(text)),
);
const HERE = ['192.168.99.11', 'fd00:99::11'].map((text) => unwrap(parseAddress(text)));
const SERVICES = [
  ['TCP', 80],
  ['TCP', 1_500],
  ['UDP', 81],
  ['SCTP', 81],
  ['ICMP', 0],
] as const;

test('a walk through the rules that the kernel has is what the rules say, in random worlds', async () => {
  await using ns = TestNetns.create('walk');
  using nft = new LibNft({ netns: ns.path });
  using kernel = NftTable.open('romana', { netns: ns.path });
  fc.assert(
    fc.property(worlds, ({ snapshot }) => {
      const { ruleset } = plan(snapshot);
      nft.run(replaceText(ruleset));
      const table = readOnce(kernel);
      const local = snapshot.leases.flatMap(({ addresses }) => addresses);
      for (const mine of local) {
        for (const other of [...local, ...OTHERS]) {
          check(table, snapshot, [mine, other], 'forward', (packet) => forwardVerdict(ruleset, packet));
          check(table, snapshot, [other, mine], 'forward', (packet) => forwardVerdict(ruleset, packet));
        }
        if (!ruleset.chains.has('input')) continue;
        for (const here of HERE) {
          check(table, snapshot, [mine, here], 'input', (packet) => inputVerdict(ruleset, packet));
        }
      }
    }),
    { numRuns: 30 },
  );
});

function check(
  table: MachineTable,
  { leases }: Snapshot,
  [saddr, daddr]: readonly [Address, Address],
  chain: 'forward' | 'input',
  expected: (packet: Parameters<typeof forwardVerdict>[1]) => 'accept' | 'drop',
): void {
  if (familyOf(saddr) !== familyOf(daddr)) return;
  const interfaceOf = (address: Address): string =>
    leases.find(({ addresses }) => addresses.includes(address))?.hostInterface ?? 'eth0';
  const ends = { iifname: interfaceOf(saddr), oifname: interfaceOf(daddr), saddr, daddr };
  for (const [protocol, port] of SERVICES) {
    const connection = { from: saddr, to: daddr, protocol, port, in: ends.iifname };
    const out = chain === 'forward' ? { out: ends.oifname } : {};
    const { verdict, steps, why } = walk(table, chain, newConnectionPacket({ ...connection, ...out }));
    const l4proto = protocol.toLowerCase() as 'tcp' | 'udp' | 'sctp' | 'icmp';
    assert.equal(
      verdict === 'end' ? 'accept' : verdict,
      expected({ ...ends, l4proto, dport: port }),
      `${saddr} to ${daddr} ${protocol}/${port} in ${chain}: ${why ?? JSON.stringify(steps)}`,
    );
  }
}

/** Asks the kernel for each chain and set once. */
function readOnce(table: MachineTable): MachineTable {
  const chains = new Map<string, ReturnType<MachineTable['rules']>>();
  const bytes = new Map<string, number>();
  return {
    rules(chain) {
      if (!chains.has(chain)) chains.set(chain, table.rules(chain));
      return chains.get(chain);
    },
    keyBytes(set) {
      const known = bytes.get(set) ?? table.keyBytes(set);
      bytes.set(set, known);
      return known;
    },
    element: (set, key) => table.element(set, key),
  };
}
