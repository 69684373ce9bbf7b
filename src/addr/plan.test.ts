import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { unwrap } from '../lib/result.ts';
import { familyBits, fromBits, parseAddress, toBits } from './address.ts';
import { cidrBase, contains, makeCidr, overlaps, parseCidr } from './cidr.ts';
import {
  DEFAULT_PLANS,
  decode,
  encode,
  formatPlan,
  gateway,
  hostRange,
  hostsTakenBy,
  makePlan,
  masked,
  maxEndpoint,
  maxHost,
  maxPoolEndpoint,
  maxSegment,
  maxTenant,
  parsePlan,
} from './plan.ts';
import type { Plan } from './plan.ts';

const v4 = unwrap(parsePlan('10.0.0.0/8:8,4,4,8'));
const v6 = unwrap(parsePlan('fd00:10::/64:16,16,16,16'));
const address = (text: string) => unwrap(parseAddress(text));
const cidr = (text: string) => unwrap(parseCidr(text));

/** Plans of both families with any prefix and any widths of at least 1. */
const anyPlan: fc.Arbitrary<Plan> = fc
  .constantFrom<4 | 6>(4, 6)
  .chain((family) => {
    const width = familyBits(family);
    const cuts = fc.uniqueArray(fc.integer({ min: 0, max: width - 1 }), { minLength: 4, maxLength: 4 });
    return fc.tuple(fc.constant(family), cuts, fc.bigInt(0n, 2n ** BigInt(width) - 1n));
  })
  .map(([family, cuts, base]) => {
    const [prefix = 0, host = 0, tenant = 0, segment = 0] = cuts.toSorted((a, b) => a - b);
    return unwrap(
      makePlan({
        cidr: makeCidr(fromBits(family, base), prefix),
        hostBits: host - prefix,
        tenantBits: tenant - host,
        segmentBits: segment - tenant,
        endpointBits: familyBits(family) - segment,
      }),
    );
  });

const upTo = (max: number) => fc.integer({ min: 0, max });
const fieldMax = (bits: number): number => Math.min(2 ** bits - 1, 2 ** 31 - 1);

/** A plan and fields that fit it, the shared pool included. */
const planAndFields = anyPlan.chain((plan) =>
  fc
    .record({ host: upTo(maxHost(plan)), tenant: upTo(maxTenant(plan)), segment: upTo(maxSegment(plan)) })
    .chain((ids) => {
      const pool = ids.tenant === 0;
      const endpointBits = plan.endpointBits + (pool ? plan.segmentBits : 0);
      return upTo(fieldMax(endpointBits)).map((endpoint) => ({
        plan,
        fields: { ...ids, segment: pool ? 0 : ids.segment, endpoint, ...(pool ? { pool: true as const } : {}) },
      }));
    }),
);

void test('DEFAULT_PLANS are one plan of each family', () => {
  assert.deepEqual(DEFAULT_PLANS, [v4, v6]);
});

void test('decode reads host, tenant, segment and endpoint, in both families', () => {
  assert.deepEqual(decode(v4, address('10.1.17.3')), { host: 1, tenant: 1, segment: 1, endpoint: 3 });
  assert.deepEqual(decode(v6, address('fd00:10::1:1:1:3')), { host: 1, tenant: 1, segment: 1, endpoint: 3 });
  assert.deepEqual(decode(v4, address('10.255.240.254')), { host: 255, tenant: 15, segment: 0, endpoint: 254 });
  assert.equal(decode(v4, address('11.1.17.3')), undefined);
  assert.equal(decode(v4, address('fd00:10::1:1:1:3')), undefined);
});

void test('decode reads segment and endpoint of the shared pool as one number', () => {
  assert.deepEqual(decode(v4, address('10.2.3.4')), { host: 2, tenant: 0, segment: 0, endpoint: 772, pool: true });
});

void test('decode knows no fields above 2^31 - 1', () => {
  const plan = unwrap(parsePlan('::/0:40,40,40,8'));
  assert.equal(decode(plan, address('ff00::')), undefined);
  assert.equal(decode(plan, address('::ffff:ffff:ff:0')), undefined);
});

void test('encode is the inverse of decode for any plan and any fields that fit', () => {
  fc.assert(
    fc.property(planAndFields, ({ plan, fields }) => {
      const made = unwrap(encode(plan, fields));
      assert.ok(contains(plan.cidr, made));
      assert.ok(contains(hostRange(plan, fields.host), made));
      assert.deepEqual(decode(plan, made), fields);
    }),
  );
});

void test('R28: encode answers a value that does not fit with an error, never with bits in the neighbouring field', () => {
  const name = fc.constantFrom('host' as const, 'tenant' as const, 'segment' as const, 'endpoint' as const);
  const excess = fc.oneof(fc.integer({ min: 1, max: 1000 }), fc.constantFrom(-1, 0.5, Number.NaN, 2 ** 40));
  fc.assert(
    fc.property(planAndFields, name, excess, ({ plan, fields }, name, excess) => {
      const pool = fields.tenant === 0 && name !== 'tenant';
      const limit = {
        host: maxHost(plan),
        tenant: maxTenant(plan),
        segment: pool ? 0 : maxSegment(plan),
        endpoint: fieldMax(plan.endpointBits + (pool ? plan.segmentBits : 0)),
      }[name];
      const value = excess >= 1 && Number.isInteger(excess) ? limit + excess : excess;
      const result = encode(plan, { ...fields, [name]: value });
      assert.ok(!result.ok);
      assert.ok(result.error.includes(`${name} ${value}`) || result.error.includes('segment'), result.error);
    }),
  );
});

void test('R28: the sixteenth tenant of the default plan is an error that names field, value and range', () => {
  assert.deepEqual(encode(v4, { host: 1, tenant: 16, segment: 1, endpoint: 3 }), {
    ok: false,
    error: 'tenant 16 does not fit: plan 10.0.0.0/8:8,4,4,8 has tenant 0 to 15',
  });
  assert.throws(() => masked(v4, { tenant: 16 }), RangeError);
  assert.throws(() => hostRange(v4, 256), RangeError);
});

void test('encode refuses a segment in the shared pool', () => {
  const result = encode(v4, { host: 1, tenant: 0, segment: 2, endpoint: 3 });
  assert.ok(!result.ok);
  assert.match(result.error, /segment 2 does not fit: .* segment 0 to 0 in the shared pool/);
});

void test('makePlan spells out a sum that is wrong', () => {
  assert.deepEqual(parsePlan('10.0.0.0/8:8,4,4,7'), {
    ok: false,
    error:
      'plan 10.0.0.0/8: prefix, host, tenant, segment and endpoint bits are 8 + 8 + 4 + 4 + 7 = 31, ' +
      'an IPv4 address has 32',
  });
  const result = parsePlan('fd00:10::/64:16,16,16,17');
  assert.ok(!result.ok);
  assert.match(result.error, /64 \+ 16 \+ 16 \+ 16 \+ 17 = 129, an IPv6 address has 128/);
});

void test('makePlan refuses a width below 1 and a prefix with host bits', () => {
  const none = parsePlan('10.0.0.0/8:8,8,0,8');
  assert.ok(!none.ok);
  assert.match(none.error, /segmentBits must be a whole number of at least 1, it is 0/);
  const bits = parsePlan('10.1.0.0/8:8,4,4,8');
  assert.ok(!bits.ok);
  assert.match(bits.error, /the range would be 10\.0\.0\.0\/8/);
});

void test('parsePlan reads back what formatPlan writes, for any plan', () => {
  fc.assert(fc.property(anyPlan, (plan) => assert.deepEqual(unwrap(parsePlan(formatPlan(plan))), plan)));
});

void test('parsePlan refuses text of another shape and shows the right one', () => {
  for (const text of [
    '',
    '10.0.0.0/8',
    '10.0.0.0/8:8,4,4',
    '10.0.0.0/8:8,4,4,8,1',
    '10.0.0.0/8:8, 4,4,8',
    'x:1,1,1,1',
  ]) {
    const result = parsePlan(text);
    assert.ok(!result.ok, text);
    assert.match(result.error, /cannot read/, text);
  }
});

void test('the limits are what may be given out: tenants and segments to 15, endpoints 3 to 254, the pool to 4094', () => {
  const limits = [maxHost, maxTenant, maxSegment, maxEndpoint, maxPoolEndpoint];
  assert.deepEqual(
    limits.map((limit) => limit(v4)),
    [255, 15, 15, 254, 4094],
  );
  assert.deepEqual(
    limits.map((limit) => limit(v6)),
    [65535, 65535, 65535, 65534, 2 ** 31 - 1],
  );
});

void test('hostRange and gateway are the route and the first hop of a host', () => {
  assert.deepEqual([hostRange(v4, 1), gateway(v4, 1)], ['10.1.0.0/16', '10.1.0.1']);
  assert.deepEqual([hostRange(v6, 26), gateway(v6, 26)], ['fd00:10:0:0:1a::/80', 'fd00:10::1a:0:0:1']);
});

void test('masked has a mask for host, tenant, segment and pairs of them', () => {
  const table: readonly [Parameters<typeof masked>[1], mask: string, value: string][] = [
    [{}, '255.0.0.0', '10.0.0.0'],
    [{ host: 1 }, '255.255.0.0', '10.1.0.0'],
    [{ tenant: 1 }, '255.0.240.0', '10.0.16.0'],
    [{ segment: 1 }, '255.0.15.0', '10.0.1.0'],
    [{ tenant: 1, segment: 1 }, '255.0.255.0', '10.0.17.0'],
    [{ host: 1, tenant: 1 }, '255.255.240.0', '10.1.16.0'],
    [{ host: 1, segment: 1 }, '255.255.15.0', '10.1.1.0'],
    [{ host: 1, tenant: 1, segment: 1 }, '255.255.255.0', '10.1.17.0'],
  ];
  for (const [fields, mask, value] of table) assert.deepEqual(masked(v4, fields), { mask, value });
  assert.deepEqual(masked(v6, { tenant: 1, segment: 1 }), {
    mask: 'ffff:ffff:ffff:ffff:0:ffff:ffff:0',
    value: 'fd00:10::1:1:0',
  });
});

void test('masked holds for an address exactly when its fields are the ones named', () => {
  const which = fc.record({ host: fc.boolean(), tenant: fc.boolean(), segment: fc.boolean() });
  fc.assert(
    fc.property(planAndFields, which, fc.bigInt(0n, 2n ** 128n - 1n), ({ plan, fields }, which, noise) => {
      fc.pre(fields.tenant !== 0);
      const named = Object.fromEntries(
        (['host', 'tenant', 'segment'] as const).filter((name) => which[name]).map((name) => [name, fields[name]]),
      );
      const { mask, value } = masked(plan, named);
      const matches = (bits: bigint): boolean => (bits & toBits(mask)) === toBits(value);
      assert.ok(matches(toBits(unwrap(encode(plan, fields)))));
      const other = decode(plan, fromBits(plan.family, toBits(cidrBase(plan.cidr)) | lowBits(plan, noise)));
      if (other === undefined || other.pool === true) return;
      const same = Object.entries(named).every(([name, id]) => other[name as keyof typeof other] === id);
      assert.equal(matches(toBits(unwrap(encode(plan, other)))), same);
    }),
  );
});

void test('hostsTakenBy names exactly the hosts whose ranges a reserved CIDR overlaps', () => {
  const reserved = ['10.96.0.0/12', '192.168.99.0/24', '10.111.3.0/24', '10.200.7.1/32', 'fd00:10::1:0:0:0/96'];
  assert.deepEqual(hostsTakenBy(v4, reserved.map(cidr)), [
    { first: 96, last: 111 },
    { first: 200, last: 200 },
  ]);
  assert.deepEqual(hostsTakenBy(v6, reserved.map(cidr)), [{ first: 1, last: 1 }]);
  assert.deepEqual(hostsTakenBy(v4, [cidr('0.0.0.0/0')]), [{ first: 0, last: 255 }]);
  assert.deepEqual(hostsTakenBy(v4, []), []);
});

void test('hostsTakenBy agrees with overlaps for any plan and any reserved CIDR', () => {
  const reserved = fc.array(fc.tuple(fc.bigInt(0n, 2n ** 128n - 1n), fc.nat(128)), { maxLength: 4 });
  fc.assert(
    fc.property(anyPlan, reserved, fc.nat(), (plan, seeds, nat) => {
      const cidrs = seeds.map(([bits, length]) => {
        const inside = toBits(cidrBase(plan.cidr)) | lowBits(plan, bits);
        return makeCidr(fromBits(plan.family, inside), length % (familyBits(plan.family) + 1));
      });
      const taken = hostsTakenBy(plan, cidrs);
      const edges = taken.flatMap(({ first, last }) => [first - 1, first, last, last + 1]);
      for (const host of [nat % (maxHost(plan) + 1), 0, maxHost(plan), ...edges]) {
        if (host < 0 || host > maxHost(plan)) continue;
        const listed = taken.some(({ first, last }) => host >= first && host <= last);
        assert.equal(
          listed,
          cidrs.some((cidr) => overlaps(hostRange(plan, host), cidr)),
        );
      }
    }),
  );
});

/** As much of `bits` as fits behind the plan's prefix. */
function lowBits(plan: Plan, bits: bigint): bigint {
  return BigInt.asUintN(plan.hostBits + plan.tenantBits + plan.segmentBits + plan.endpointBits, bits);
}
