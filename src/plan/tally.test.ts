import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeNft } from '../nft/fake-nft.ts';
import { replaceText } from '../nft/text.ts';
import { plan } from './desired.ts';
import { excerpt, snapshotOf } from './snapshot-fixture.ts';

const BACKEND = { namespace: 'tenant-a', name: 'backend', host: 1, endpoint: 3 };

test('plan counts what is accepted and denied by interface and direction, and has denied packets told of within limits', () => {
  const desired = plan({ ...snapshotOf({ pods: [BACKEND] }), nflogGroup: 9671 });
  assert.equal(
    excerpt(desired, /^(accepted|denied)-ingress$/),
    `set accepted-ingress {
	type ifname
	counter
	comment "connections accepted, ingress of pods"
	elements = { "roma-backend" }
}

set denied-ingress {
	type ifname
	counter limit rate 2/second burst 10 packets
	comment "first packets denied, ingress of pods"
	elements = { "roma-backend" }
}

chain denied-ingress {
	comment "what policy denies, ingress of pods"
	oifname @denied-ingress limit rate 20/second burst 100 packets log prefix "romana ingress" group 9671 snaplen 128
	drop
}
`,
  );
  assert.deepEqual(desired.ruleset.chains.get('denied-egress')?.rules, [
    'iifname @denied-egress limit rate 20/second burst 100 packets log prefix "romana egress" group 9671 snaplen 128',
    'drop',
  ]);
  const nft = new FakeNft();
  nft.run(replaceText(desired.ruleset));
  assert.deepEqual(nft.ruleset('romana'), desired.ruleset);
});

test('plan tells nobody of denied packets while nobody listens, and counts them all the same', () => {
  const { ruleset } = plan(snapshotOf({ pods: [BACKEND] }));
  assert.deepEqual(ruleset.chains.get('denied-egress')?.rules, ['iifname @denied-egress', 'drop']);
  assert.deepEqual(ruleset.chains.get('denied-ingress')?.rules, ['oifname @denied-ingress', 'drop']);
});
