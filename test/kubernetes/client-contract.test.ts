import { after, before, test } from 'node:test';
import { clientContract } from '../../src/kube/client-contract.ts';
import { noApiServer, RealApiServer } from '../support/real-api-server.ts';

if (noApiServer === false) {
  let server: RealApiServer;
  before(async () => {
    server = await RealApiServer.start();
  });
  after(() => server[Symbol.asyncDispose]());
  clientContract('HttpKubeClient of the real API server', async () => server.client());
} else void test('the contract of clients on the real API server', { skip: noApiServer });
