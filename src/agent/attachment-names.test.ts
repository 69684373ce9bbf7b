import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { attachmentMacs, hostInterfaceName, isHostInterfaceName } from './attachment-names.ts';

const attachment = fc.record({ containerId: fc.string(), ifname: fc.string() });

test('hostInterfaceName is roma and 11 hex digits of the hash of container and interface', () => {
  const hash = createHash('sha256').update('c0ffee/eth0').digest('hex');
  assert.equal(hostInterfaceName({ containerId: 'c0ffee', ifname: 'eth0' }), `roma${hash.slice(0, 11)}`);
});

test('hostInterfaceName fits a Linux interface name and is told by isHostInterfaceName', () => {
  fc.assert(
    fc.property(attachment, (item) => {
      assert.equal(hostInterfaceName(item).length, 15);
      assert.ok(isHostInterfaceName(hostInterfaceName(item)));
    }),
  );
  for (const name of ['eth0', 'roma', 'roma0123456789', 'roma0123456789abc', 'roma0123456789A', 'xroma0123456789a']) {
    assert.ok(!isHostInterfaceName(name));
  }
});

test('attachmentMacs gives two different unicast addresses that are locally administered, the same each time', () => {
  fc.assert(
    fc.property(attachment, (item) => {
      const { hostMac, podMac } = attachmentMacs(item);
      assert.notEqual(hostMac, podMac);
      for (const mac of [hostMac, podMac]) assert.match(mac, /^[0-9a-f][26ae](:[0-9a-f]{2}){5}$/);
      assert.deepEqual(attachmentMacs(item), { hostMac, podMac });
    }),
  );
});
