import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { unwrap } from '../../lib/result.ts';
import { podCapabilities } from './pod-capabilities.ts';

const podOf = (ports: readonly object[], annotations: object = {}): object => ({
  metadata: { annotations },
  spec: { containers: [{ name: 'a' }, { name: 'b', ports }] },
});

test('podCapabilities has the hostPorts of a pod, as container runtimes put them', () => {
  const ports = [
    { containerPort: 80, hostPort: 8080 },
    { containerPort: 53, hostPort: 53, protocol: 'UDP', hostIP: '192.0.2.1' },
    { containerPort: 81 },
    { containerPort: 82, hostPort: 0 },
  ];
  assert.deepEqual(unwrap(podCapabilities(podOf(ports))), {
    portMappings: [
      { hostPort: 8080, containerPort: 80, protocol: 'tcp' },
      { hostPort: 53, containerPort: 53, protocol: 'udp', hostIP: '192.0.2.1' },
    ],
  });
  assert.deepEqual(unwrap(podCapabilities(podOf([]))), {});
});

for (const [text, rate] of [
  ['10M', 10_000_000],
  ['1.5k', 1_500],
  ['1Mi', 1_048_576],
  ['2e6', 2_000_000],
  ['1000000m', 1_000],
  ['5000', 5_000],
] as const) {
  test(`podCapabilities reads a bandwidth of ${text}`, () => {
    const pod = podOf([], { 'kubernetes.io/egress-bandwidth': text });
    assert.deepEqual(unwrap(podCapabilities(pod)), { bandwidth: { egressRate: rate, egressBurst: 4_294_967_295 } });
  });
}

for (const text of ['', 'fast', '10X', '999', '-5M', '2P', '1k ', '.', 5]) {
  test(`podCapabilities refuses a bandwidth of ${JSON.stringify(text)}`, () => {
    const found = podCapabilities(podOf([], { 'kubernetes.io/ingress-bandwidth': text }));
    assert.ok(!found.ok);
    assert.match(found.error, /annotation kubernetes\.io\/ingress-bandwidth must be/);
  });
}

test('podCapabilities never throws, whatever the pod', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.jsonValue(),
        fc.string().map((text) => podOf([], { 'kubernetes.io/ingress-bandwidth': text })),
      ),
      (pod) => void podCapabilities(pod),
    ),
  );
});
