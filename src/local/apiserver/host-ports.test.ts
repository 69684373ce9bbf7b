import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiObject } from './api-object.ts';
import { hostPortsOf, portsClash } from './host-ports.ts';

const ports = (...list: readonly object[]) =>
  hostPortsOf({ spec: { containers: [{ name: 'a' }, { name: 'b', ports: list }] } } as unknown as ApiObject);

test('hostPortsOf lists the ports that a pod takes of its node', () => {
  assert.deepEqual(ports({ containerPort: 80 }, { containerPort: 81, hostPort: 0 }), []);
  assert.deepEqual(
    ports({ hostPort: 80 }, { hostPort: 53, protocol: 'UDP', hostIP: '192.0.2.1' }, { hostPort: 81, hostIP: '::' }),
    [
      { protocol: 'TCP', port: 80, address: '' },
      { protocol: 'UDP', port: 53, address: '192.0.2.1' },
      { protocol: 'TCP', port: 81, address: '' },
    ],
  );
});

for (const [one, other, clash] of [
  [{ hostPort: 80 }, { hostPort: 80 }, true],
  [{ hostPort: 80 }, { hostPort: 81 }, false],
  [{ hostPort: 80 }, { hostPort: 80, protocol: 'UDP' }, false],
  [{ hostPort: 80, hostIP: '192.0.2.1' }, { hostPort: 80 }, true],
  [{ hostPort: 80, hostIP: '192.0.2.1' }, { hostPort: 80, hostIP: '192.0.2.1' }, true],
  [{ hostPort: 80, hostIP: '192.0.2.1' }, { hostPort: 80, hostIP: '192.0.2.2' }, false],
] as const) {
  test(`portsClash is ${clash} for ${JSON.stringify(one)} and ${JSON.stringify(other)}`, () => {
    assert.equal(portsClash(ports(one), ports(other)), clash);
  });
}
