import { readFileSync, readdirSync } from 'node:fs';
import { parse } from 'yaml';
import { systemClock } from '../src/lib/clock.ts';
import { silentLog } from '../src/lib/log.ts';
import { createApiServer } from '../src/local/apiserver/api-server.ts';

// The API server of a bench, in memory: prints the port it listens on and ends with its standard input.
// Arguments: the bearer token.
const crds = new URL('../deploy/crds/', import.meta.url);
const server = createApiServer({
  storage: ':memory:',
  crds: readdirSync(crds)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => parse(readFileSync(new URL(name, crds), 'utf8')) as unknown),
  tokens: [{ token: process.argv[2] ?? '', user: 'admin' }],
  clock: systemClock,
  log: silentLog,
});
const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
process.stdout.write(`${port}\n`);
process.stdin.resume().once('close', () => process.exit());
