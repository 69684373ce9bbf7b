import { Agent } from 'undici';
import { CONTRACT_CRD } from '../../src/local/apiserver/contract.ts';
import { ContractClient, type ContractTarget } from '../../src/local/apiserver/contract-client.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import { at } from '../../src/local/apiserver/api-object.ts';
import { RealApiServer } from './real-api-server.ts';

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

/** A real API server to hold the contract against; it ends by `end`. */
export interface RealTarget extends ContractTarget {
  readonly end: () => Promise<void>;
}

/** Starts one that has the contract's own kind, empties namespaces, and asks no pod for a service account. */
export async function startContractTarget(): Promise<RealTarget> {
  const server = await RealApiServer.start({
    flags: ['--disable-admission-plugins=ServiceAccount'],
    controllers: ['namespace-controller'],
  });
  // HTTP/1.1: a request that goes wrong ends its own connection alone.
  const dispatcher = new Agent({ allowH2: false, connect: { rejectUnauthorized: false } });
  const target = { url: server.url, token: server.token, dispatcher };
  const end = async (): Promise<void> => {
    await dispatcher.destroy();
    await server[Symbol.asyncDispose]();
  };
  try {
    const api = new ContractClient(target);
    await api.create(CRDS, CONTRACT_CRD);
    await waitFor("the contract's kind", async () => {
      const found = await api.request('GET', '/apis/contract.romana.io/v1/widgets');
      return found.code === 200 && at(found.body, 'kind') === 'WidgetList';
    });
    return { ...target, end };
  } catch (error) {
    await end();
    throw error;
  }
}
