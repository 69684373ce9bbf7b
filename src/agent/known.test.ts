import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parsePod } from '../objects/pod.ts';
import { slimPod } from './known.ts';

const container = fc.record({
  name: fc.constantFrom('a', 'b'),
  image: fc.string(),
  env: fc.array(fc.record({ name: fc.string(), value: fc.string() })),
  restartPolicy: fc.constantFrom('Always', undefined),
  ports: fc.oneof(
    fc.array(fc.record({ name: fc.constantFrom('http', ''), containerPort: fc.integer({ min: -1, max: 70_000 }) })),
    fc.constantFrom(null, 7),
  ),
});
const pod = fc.record({
  apiVersion: fc.constant('v1'),
  kind: fc.constant('Pod'),
  metadata: fc.record({
    name: fc.constantFrom('one', ''),
    labels: fc.dictionary(fc.constantFrom('app', 'segment'), fc.string()),
    annotations: fc.constantFrom(undefined, null, { 'kubernetes.io/config.hash': 'x' }),
    managedFields: fc.constant([{ manager: 'kubectl' }]),
  }),
  spec: fc.oneof(
    fc.record({
      nodeName: fc.constantFrom('n1', undefined),
      hostNetwork: fc.constantFrom(true, false, undefined, 'x'),
      serviceAccountName: fc.constantFrom('default', undefined),
      containers: fc.oneof(fc.array(container), fc.constantFrom(null, 'x')),
      initContainers: fc.oneof(fc.array(container), fc.constant(undefined)),
    }),
    fc.constantFrom(undefined, null, 'x'),
  ),
  status: fc.oneof(
    fc.record({
      phase: fc.constantFrom('Running', undefined),
      podIP: fc.constantFrom('10.1.0.3', '', 'x', undefined),
      podIPs: fc.constantFrom([{ ip: '10.1.0.3' }], [{ ip: 'x' }], undefined, null),
    }),
    fc.constantFrom(undefined, null),
  ),
});

test('slimPod leaves all that parsePod reads, faults included', () => {
  fc.assert(
    fc.property(pod, (json) => {
      assert.deepEqual(parsePod(slimPod(json)), parsePod(json));
    }),
  );
});

test('slimPod leaves nothing of what only the containers are to know', () => {
  const secret = 'do not tell';
  const json = {
    metadata: { name: 'one', annotations: { 'kubectl.kubernetes.io/last-applied-configuration': secret } },
    spec: {
      containers: [{ name: 'a', args: [secret], env: [{ name: 'A', value: secret }], ports: [{ containerPort: 80 }] }],
      volumes: [{ name: secret }],
    },
    status: { message: secret },
  };
  assert.doesNotMatch(JSON.stringify(slimPod(json)), /do not tell/);
});
