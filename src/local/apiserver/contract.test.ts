import { after } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { createApiServer } from './api-server.ts';
import { CONTRACT_CRD, declareContract } from './contract.ts';

const server = createApiServer({
  storage: ':memory:',
  crds: [CONTRACT_CRD],
  tokens: [{ token: 'people', user: 'admin' }],
  clock: systemClock,
  log: silentLog,
});
after(() => server.close());

declareContract(async () => {
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  return { url: `http://127.0.0.1:${port}`, token: 'people' };
}, false);
