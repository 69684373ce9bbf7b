// What `RigFlood` (rig-flood.ts) runs in a network namespace: sends UDP datagrams and TCP SYNs to all addresses of its
// arguments, again and again. It writes a line for each round of both and ends with its stdin.
import dgram from 'node:dgram';
import net from 'node:net';

const PORT = 80;
/** Between two rounds of datagrams, in milliseconds: as fast as leaves the machine time for anything else. */
const EVERY_MS = 2;
/** Rounds of datagrams to one of SYNs, which cost more. */
const UDP_ROUNDS = 8;

const addresses = process.argv.slice(2);
const udp = { 4: dgram.createSocket('udp4'), 6: dgram.createSocket('udp6') };
for (const socket of Object.values(udp)) socket.on('error', () => undefined);
let rounds = 0;
let connections: net.Socket[] = [];

function sendDatagrams(): void {
  for (const address of addresses) {
    udp[address.includes(':') ? 6 : 4].send('flood', PORT, address, () => undefined);
  }
}

/** Begins to connect to all, and gives up what the last round began. */
function sendSyns(): void {
  for (const connection of connections) connection.destroy();
  connections = addresses.map((host) => net.connect({ host, port: PORT }).on('error', () => undefined));
}

setInterval(() => {
  sendDatagrams();
  rounds += 1;
  if (rounds % UDP_ROUNDS !== 0) return;
  sendSyns();
  process.stdout.write('round\n');
}, EVERY_MS);
process.stdin.resume().once('close', () => process.exit());
