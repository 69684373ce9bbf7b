import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { unwrap } from '../lib/result.ts';
import { type Denial, DENIAL_ANNOTATION, denialText, parseToldDenial } from './denial.ts';

const DENIAL: Denial = {
  direction: 'ingress',
  from: 'tenant-b/client',
  fromAddress: '10.2.33.3',
  to: 'tenant-a/backend',
  toAddress: '10.1.18.3',
  port: 'TCP/81',
  tier: 'isolation',
  object: 'Namespace tenant-a',
  field: 'metadata.annotations',
  near: ['demo NetworkPolicy tenant-a/pol1 spec.allowIncoming: right peer, wrong port'],
};

function eventOf(denial: unknown, more: object = {}): object {
  const annotations = { [DENIAL_ANNOTATION]: typeof denial === 'string' ? denial : JSON.stringify(denial) };
  return {
    metadata: { name: 'backend.1', namespace: 'tenant-a', annotations },
    reason: 'PolicyDenied',
    source: { component: 'romana-agent', host: 'minion1' },
    lastTimestamp: '2026-01-01T00:00:00Z',
    count: 3,
    ...more,
  };
}

test('denialText says who was denied what, and why', () => {
  assert.equal(
    denialText(DENIAL),
    'TCP/81 from tenant-b/client (10.2.33.3) to tenant-a/backend (10.1.18.3) is denied, ingress of tenant-a/backend: ' +
      'isolated by Namespace tenant-a, allowed by none of: ' +
      'demo NetworkPolicy tenant-a/pol1 spec.allowIncoming: right peer, wrong port',
  );
  assert.match(denialText({ ...DENIAL, near: [] }), /: isolated by Namespace tenant-a, and no policy allows anything$/);
  const egress: Denial = {
    ...DENIAL,
    direction: 'egress',
    to: '203.0.113.7',
    toAddress: '203.0.113.7',
    tier: 'admin',
    object: 'ClusterNetworkPolicy kept',
    field: 'spec.egress[0].to[1]',
  };
  assert.equal(
    denialText(egress),
    'TCP/81 from tenant-b/client (10.2.33.3) to 203.0.113.7 is denied, egress of tenant-b/client: ' +
      'ClusterNetworkPolicy kept spec.egress[0].to[1] in the Admin tier',
  );
});

test('parseToldDenial gives what an agent told, and nothing of other events', () => {
  assert.deepEqual(unwrap(parseToldDenial(eventOf(DENIAL))), {
    ...DENIAL,
    namespace: 'tenant-a',
    name: 'backend.1',
    node: 'minion1',
    time: '2026-01-01T00:00:00Z',
    times: 3,
  });
  assert.equal(unwrap(parseToldDenial(eventOf(DENIAL, { reason: 'Killing' }))), undefined);
  const { metadata, ...event } = eventOf(DENIAL) as { metadata: object };
  assert.equal(unwrap(parseToldDenial({ ...event, metadata: { ...metadata, annotations: {} } })), undefined);
});

/** The field of the first fault. */
function fault(denial: unknown): unknown {
  const parsed = parseToldDenial(eventOf(denial));
  return parsed.ok ? undefined : parsed.error[0]?.field;
}

test('parseToldDenial names the field of what cannot be read, and never throws', () => {
  const at = `metadata.annotations[${DENIAL_ANNOTATION}]`;
  assert.equal(fault('{'), at);
  assert.equal(fault({ ...DENIAL, tier: 'policy' }), `${at}.tier`);
  assert.equal(fault({ ...DENIAL, near: [1] }), `${at}.near[0]`);
  fc.assert(fc.property(fc.jsonValue(), (value) => void parseToldDenial(eventOf(value))));
  fc.assert(fc.property(fc.jsonValue(), (value) => void parseToldDenial(value)));
});
