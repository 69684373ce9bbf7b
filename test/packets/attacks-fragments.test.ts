import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Attack, AttackField, FAMILIES, framed, OPEN_PORT, type Sender } from '../support/attack-field.ts';
import { fragments, tcp, udp } from '../support/raw-packets.ts';
import { CONTROL_PORT } from '../support/rig-host.ts';

const PORTS = { sport: 41_000, dport: OPEN_PORT };
const TCP_SYN = 2;
/** The header of UDP, with which every first fragment begins. */
const UDP_BYTES = 8;

void describe('R31: fragments', () => {
  let field: AttackField;
  let from: Sender;
  before(async () => {
    field = await AttackField.start();
    from = field.sender(field.attacker);
  });
  after(() => field[Symbol.asyncDispose]());

  /** What arrives at pods: on its way through the fabric is also what the other host drops. */
  const atTargets = async (attacks: ReadonlyMap<string, Attack>): Promise<string[]> =>
    (await field.arrived(from, attacks)).filter((each) => !each.startsWith('fabric: '));

  void test("R31: a pod's fragments are never put together with another pod's", async () => {
    for (const [host, victim] of field.victims.entries()) {
      const sender = field.sender(victim);
      for (const family of FAMILIES) {
        for (const [at, target] of field.targets.entries()) {
          const ends = { src: victim.address(family), dst: target.address(family) };
          const id = 1000 + 100 * host + 10 * family + at;
          const mine = `last of ${host} ${family} to ${at}`;
          const forged = await field.arrived(from, new Map([[mine, (mark) => framed(from, inTwo(ends, id, mark)[1])]]));
          assert.deepEqual(forged, []);
          // The victim's own first fragment must not be completed by it, and its own last one must.
          const whole = `whole of ${host} ${family} to ${at}`;
          const attacks = new Map<string, Attack>([
            [mine, () => framed(sender, inTwo(ends, id, Buffer.alloc(64, '.'))[0])],
            [whole, (mark) => framed(sender, inTwo(ends, id, mark)[1])],
          ]);
          const heard = await field.arrived(sender, attacks);
          assert.ok(!heard.some((each) => each.endsWith(mine)), mine);
          assert.ok(heard.includes(`${at === 0 ? 'near' : 'far'}: ${whole}`), `${whole}: ${heard.join()}`);
        }
      }
    }
  });

  void test('R31: no fragment of a forged packet arrives, however it is cut, nor one that policy forbids', async () => {
    const attacks = new Map<string, Attack>();
    const cuts = {
      two: [
        [0, 64],
        [64, 128],
      ],
      backwards: [
        [64, 128],
        [0, 64],
      ],
      tiny: [
        [0, 8],
        [8, 128],
      ],
      'the first alone': [[0, 64]],
      'the last alone': [[64, 128]],
      overlapping: [
        [0, 64],
        [32, 128],
      ],
      'over the first': [
        [8, 64],
        [0, 64],
        [64, 128],
      ],
      'twice the first': [
        [0, 64],
        [0, 64],
        [64, 128],
      ],
      'in one': [[0, 128]],
    } as const;
    let id = 2000;
    for (const family of FAMILIES) {
      for (const [index, target] of field.targets.entries()) {
        const dst = target.address(family);
        for (const [who, src] of Object.entries({
          forged: field.victims[0].address(family),
          own: field.attacker.address(family),
        })) {
          for (const [how, ranges] of Object.entries(cuts)) {
            for (const [kind, payload] of Object.entries({
              udp: (data: Buffer) => udp(PORTS, data),
              tcp: (data: Buffer) => tcp(PORTS, TCP_SYN, data),
            })) {
              id += 1;
              const own = id;
              attacks.set(`${who} ${kind} ${family} to ${index}, ${how}`, (mark) => {
                const wanted = ranges.map(([start, end]) => ({ start, end }));
                const data = Buffer.concat([mark, mark]).subarray(0, 128 - (kind === 'tcp' ? 20 : 8));
                return fragments({ src, dst }, payload(data), own, wanted).map((each) => framed(from, each));
              });
            }
          }
        }
      }
    }
    assert.deepEqual(await atTargets(attacks), []);
  });

  void test('R31: a forbidden head under the number of an allowed one is no way past the ports of a policy', async () => {
    const attacks = new Map<string, Attack>();
    const head = { start: 0, end: 72 };
    for (const family of FAMILIES) {
      for (const [index, target] of field.targets.entries()) {
        const ends = { src: field.attacker.address(family), dst: target.address(family) };
        attacks.set(`second head ${family} to ${index}`, (mark) => {
          const id = 3000 + index;
          const control = udp({ ...PORTS, dport: CONTROL_PORT }, filler(120));
          const hidden = udp(PORTS, Buffer.concat([mark, filler(56)]));
          const parts = [
            ...fragments(ends, control, id, [head]),
            ...fragments(ends, hidden, id, [head, { start: head.end, end: 128 }]),
          ];
          return parts.map((each) => framed(from, each));
        });
      }
    }
    assert.deepEqual(await atTargets(attacks), []);
  });
});

function filler(bytes: number): Buffer {
  return Buffer.alloc(bytes, '.');
}

/** UDP in two fragments, the mark in the second. */
function inTwo(ends: { src: string; dst: string }, id: number, mark: Buffer): [Buffer, Buffer] {
  const payload = udp(PORTS, Buffer.concat([filler(56), mark]));
  const [first, second] = fragments(ends, payload, id, [
    { start: 0, end: 64 },
    { start: 64, end: UDP_BYTES + 56 + mark.length },
  ]);
  assert.ok(first !== undefined && second !== undefined);
  return [first, second];
}
