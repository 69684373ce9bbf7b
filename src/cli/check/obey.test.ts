import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { after, before, suite, test } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import { EchoServer } from './echo-server.ts';
import { obey, readResolvConf, type Surroundings } from './obey.ts';
import type { Order } from './orders.ts';

const HERE = '127.0.0.1';
let words = 0;
const AROUND: Surroundings = {
  clock: systemClock,
  resolvConf: () => '',
  word: () => `word-${(words += 1)}`,
  patienceMs: 500,
};

function conf(text: string): Surroundings {
  return { ...AROUND, resolvConf: () => text };
}

async function happens(order: Order, around = AROUND): Promise<string> {
  const { id, happened, ms } = await obey(order, around);
  assert.equal(id, order.id);
  assert.ok(ms >= 0);
  return happened;
}

suite('orders that a pod of a check does', () => {
  let server: EchoServer;
  before(async () => {
    server = await EchoServer.start({ name: 'peer', address: HERE, open: 0, shut: 0 });
  });
  after(() => server.close());
  const talk = (more: Partial<Extract<Order, { kind: 'talk' }>> = {}): Order => ({
    id: 1,
    kind: 'talk',
    address: HERE,
    ports: server.doors.open,
    name: 'peer',
    source: HERE,
    ...more,
  });

  test('talk is answered over TCP and UDP by the one that is meant', async () => {
    assert.equal(await happens(talk()), 'answered');
    assert.equal(await happens(talk({ name: 'other' })), 'an answer of peer, another pod');
  });

  test('talk says when it is seen as another address than its own', async () => {
    assert.equal(await happens(talk({ source: '10.1.17.3' })), 'answered, seen as 127.0.0.1 instead of 10.1.17.3');
  });

  test('talk names the protocol that fails alone', async () => {
    const { tcp, udp } = server.doors.open;
    assert.equal(await happens(talk({ ports: { tcp: 1, udp } })), 'TCP: a refusal; UDP: answered');
    assert.equal(await happens(talk({ ports: { tcp, udp: 1 } })), 'TCP: answered; UDP: a refusal');
    assert.equal(await happens(talk({ ports: { tcp: 1, udp: 1 } })), 'a refusal');
  });

  test('talk tells a connection that opens and passes nothing', async () => {
    const deaf = createServer((socket) => socket.on('error', () => undefined).pause());
    await once(deaf.listen(0, HERE), 'listening');
    const { port } = deaf.address() as { port: number };
    const happened = await happens(talk({ ports: { tcp: port, udp: server.doors.open.udp } }));
    assert.equal(happened, "TCP: a connection over which 64 KiB don't pass (MTU?); UDP: answered");
    deaf.close();
  });

  test('connect opens a connection to anybody, and no more', async () => {
    assert.equal(await happens({ id: 2, kind: 'connect', address: HERE, port: server.doors.shut.tcp }), 'answered');
    assert.equal(await happens({ id: 2, kind: 'connect', address: HERE, port: 1 }), 'a refusal');
  });

  test('knock tells a door that answers and one that refuses from a shut one', async () => {
    const knock = (shut: { tcp: number; udp: number }): Order => ({
      id: 3,
      kind: 'knock',
      address: HERE,
      doors: { open: server.doors.open, shut },
      name: 'peer',
    });
    const { tcp, udp } = server.doors.shut;
    assert.equal(await happens(knock({ tcp, udp })), 'answered');
    assert.equal(await happens(knock({ tcp: 1, udp: 1 })), 'a refusal');
    // Nobody answers datagrams there: it is what was heard that counts.
    const heard = await EchoServer.start({ name: 'peer', address: HERE, open: 0, shut: 0 });
    const order = { ...knock({ tcp: 1, udp: heard.doors.shut.udp }), doors: heard.doors } as Order;
    assert.equal(await happens(order), 'answered');
    heard.close();
  });

  test('knock knows nothing where the open door is not answered', async () => {
    const doors = { open: { tcp: 1, udp: 1 }, shut: server.doors.shut };
    const happened = await happens({ id: 4, kind: 'knock', address: HERE, doors, name: 'peer' });
    assert.equal(happened, 'unknown: what the policy allows comes to a refusal');
  });

  test('resolve says what the resolv.conf lacks', async () => {
    const order: Order = { id: 5, kind: 'resolve', service: 'kubernetes.default', addresses: ['10.96.0.1'] };
    assert.match(await happens(order, conf('nameserver 127.0.0.1\n')), /without the cluster's domain/);
    assert.match(await happens(order, conf('search x.svc.a.b svc.a.b\n')), /without a name server/);
    const refused = 'nameserver 127.0.0.2\nsearch svc.a.b\n';
    assert.match(await happens(order, conf(refused)), /^(?:a refusal|a time-out) of 127\.0\.0\.2$/);
  });
});

test('readResolvConf finds name servers and the domain of the cluster', () => {
  const text = '# a\nnameserver 10.96.0.10\nsearch old\nsearch ns.svc.my.org svc.my.org my.org\noptions ndots:5\n';
  assert.deepEqual(readResolvConf(text), { servers: ['10.96.0.10'], domain: 'svc.my.org' });
  assert.deepEqual(readResolvConf('search a.b'), { servers: [] });
});

test('obey says in words what the kernel refuses at once', async () => {
  // Sockets that did not ask for it may not broadcast (EACCES), and TCP can't.
  const ports = { tcp: 9, udp: 9 };
  const talk = { id: 6, kind: 'talk', address: '255.255.255.255', ports, name: 'x', source: '' } as const;
  assert.match(await happens(talk), /^TCP: connect E[A-Z]+ .*; UDP: .*E[A-Z]+/);
});
