import { after, test } from 'node:test';
import { declareContract } from '../../src/local/apiserver/contract.ts';
import { startContractTarget } from '../support/contract-target.ts';
import { noApiServer } from '../support/real-api-server.ts';

if (noApiServer === false) {
  const target = await startContractTarget();
  after(() => target.end());
  declareContract(async () => target, true);
} else test('the contract of API servers', { skip: noApiServer });
