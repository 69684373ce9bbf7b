import { after } from 'node:test';
import { declareContract } from '../../src/local/apiserver/contract.ts';
import { contractTarget, RealApiServer } from '../support/real-api-server.ts';

const server = await RealApiServer.start();
server.enter();
const target = await contractTarget(server);
after(async () => {
  await target.dispatcher.destroy();
  await server[Symbol.asyncDispose]();
});

declareContract(async () => target, true);
