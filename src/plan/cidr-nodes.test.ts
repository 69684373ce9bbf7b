import { test } from 'node:test';
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { fromBits } from '../addr/address.ts';
import { contains, makeCidr } from '../addr/cidr.ts';
import type { Cidr } from '../addr/cidr.ts';
import { cidrNodes } from './cidr-nodes.ts';
import type { CidrNode, CidrRule } from './cidr-nodes.ts';
import { portsKey } from './ports.ts';
import type { PortSet } from './ports.ts';

const cidr = (text: string): Cidr => text as Cidr;
const TCP80: PortSet = [{ protocol: 'TCP', from: 80, to: 80 }];
const UDP53: PortSet = [{ protocol: 'UDP', from: 53, to: 53 }];

function text(length: number, { base, ports, overrides }: CidrNode): string {
  return `${base}/${length} ${portsKey(ports)}${overrides ? ' only' : ''}`;
}

function texts(nodes: ReturnType<typeof cidrNodes>): string[] {
  return nodes.flatMap(([length, here]) => here.map((node) => text(length, node)));
}

test('R13: cidrNodes keeps an exception within its own rule', () => {
  const rules: CidrRule[] = [
    { cidr: cidr('10.0.0.0/8'), except: [cidr('10.1.0.0/16')], ports: TCP80 },
    { cidr: cidr('10.1.2.0/24'), except: [], ports: 'any' },
    { cidr: cidr('0.0.0.0/0'), except: [cidr('10.0.0.0/8')], ports: UDP53 },
    { cidr: cidr('fd00::/8'), except: [], ports: 'any' },
  ];
  assert.deepEqual(texts(cidrNodes(4, rules)), [
    '10.1.2.0/24 any only',
    '10.1.0.0/16  only',
    '10.0.0.0/8 tcp . 80 only',
    '0.0.0.0/0 udp . 53',
  ]);
  assert.deepEqual(texts(cidrNodes(6, rules)), ['fd00::/8 any']);
});

test('R13: cidrNodes takes overlapping and equal CIDRs, and leaves out what says nothing new', () => {
  const rules = ['10.0.0.0/8', '10.0.0.0/8', '10.0.0.0/9', '10.128.0.0/9', '10.3.0.0/16'].map((text) => ({
    cidr: cidr(text),
    except: [],
    ports: TCP80,
  }));
  assert.deepEqual(texts(cidrNodes(4, rules)), ['10.0.0.0/8 tcp . 80']);
  assert.deepEqual(cidrNodes(4, [{ cidr: cidr('10.0.0.0/24'), except: [cidr('10.0.0.0/24')], ports: 'any' }]), []);
});

// Of the last 6 bits, so that they overlap often.
const small = fc
  .tuple(fc.nat({ max: 63 }), fc.integer({ min: 25, max: 32 }))
  .map(([last, length]) => makeCidr(fromBits(4, 0xc000_0200n + BigInt(last)), length));
const rule: fc.Arbitrary<CidrRule> = fc.record({
  cidr: small,
  except: fc.array(small, { maxLength: 3 }),
  ports: fc.constantFrom<PortSet>('any', TCP80, UDP53),
});

function has(ports: PortSet, one: PortSet): boolean {
  return ports === 'any' || (one !== 'any' && ports.some(({ protocol }) => protocol === one[0]?.protocol));
}

test('cidrNodes: the longest prefix of an address has the ports of all rules that name it', () => {
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 6 }), fc.nat({ max: 127 }), (rules, last) => {
      const address = fromBits(4, 0xc000_0200n + BigInt(last));
      const open = rules.filter((r) => contains(r.cidr, address) && !r.except.some((e) => contains(e, address)));
      const found = cidrNodes(4, rules)
        .flatMap(([length, nodes]) => nodes.map((node) => ({ ...node, cidr: makeCidr(node.base, length) })))
        .find((node) => contains(node.cidr, address));
      for (const one of ['any', TCP80, UDP53] as const) {
        assert.equal(
          has(found?.ports ?? [], one),
          open.some(({ ports }) => has(ports, one)),
        );
      }
    }),
  );
});
