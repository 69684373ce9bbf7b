import type { TestContext } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { type ApiServer, type ApiServerOptions, createApiServer } from './api-server.ts';
import { CONTRACT_CRD } from './contract.ts';
import { ContractClient } from './contract-client.ts';

/** A server of a test's own, and a client to it. */
export interface TestServer {
  readonly server: ApiServer;
  readonly api: ContractClient;
  readonly url: string;
}

/** Starts an API server on a free port; it ends with the test. */
export async function startServer(t: TestContext, options: Partial<ApiServerOptions> = {}): Promise<TestServer> {
  const server = createApiServer({
    storage: ':memory:',
    crds: [CONTRACT_CRD],
    tokens: [{ token: 'people', user: 'admin' }],
    clock: systemClock,
    log: silentLog,
    ...options,
  });
  t.after(() => server.close());
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  const url = `http://127.0.0.1:${port}`;
  return { server, url, api: new ContractClient({ url, token: 'people' }) };
}
