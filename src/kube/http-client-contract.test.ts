import { silentLog } from '../lib/log.ts';
import { systemClock } from '../lib/clock.ts';
import { createApiServer } from '../local/apiserver/api-server.ts';
import { clientContract } from './client-contract.ts';
import { HttpKubeClient } from './http-client.ts';
import { fixedToken } from './token.ts';

clientContract('HttpKubeClient of the embedded API server', async (t) => {
  const server = createApiServer({
    storage: ':memory:',
    crds: [],
    tokens: [{ token: 'secret', user: 'admin' }],
    clock: systemClock,
    log: silentLog,
  });
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  const client = new HttpKubeClient({ server: `http://127.0.0.1:${port}`, token: fixedToken('secret') });
  t.after(async () => {
    await client.close();
    await server.close();
  });
  return client;
});
