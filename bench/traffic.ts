import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { raceTraffic } from './traffic-race.ts';
import { trafficRows, trafficTable } from './traffic-report.ts';
import { makeWorld } from './traffic-world.ts';

// Traffic between two pods, on one host and across two: bytes of one connection, and connections with an exchange, per
// second. The pods, links and routes are the same all the time; what takes turns is the rules: none, one of conntrack
// and a masquerade chain (the peer), and ours with 0, 100 and 1,000 policies. For the goals see traffic-report.ts.
//   node bench/traffic.ts [--json FILE] [--rounds N] [--slice MS]

const POLICIES = [0, 100, 1000] as const;

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    rounds: { type: 'string', default: '30' },
    slice: { type: 'string', default: '100' },
  },
});
const rounds = Number(values.rounds);

await using world = await makeWorld(POLICIES);
const results = await raceTraffic({
  client: world.client.ns,
  servers: [
    { path: 'one host', ns: world.near.ns, address: world.near.address(4) },
    { path: 'two hosts', ns: world.far.ns, address: world.far.address(4) },
  ],
  variants: world.variants,
  put: world.put,
  rounds,
  sliceMs: Number(values.slice),
});
const rows = trafficRows(results);
process.stdout.write(`Traffic, ${rounds} rounds of ${values.slice} ms each\n${trafficTable(rows)}\n`);
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ rows }, undefined, 2)}\n`);
