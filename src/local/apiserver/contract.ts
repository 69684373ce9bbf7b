import { ContractClient, type ContractTarget } from './contract-client.ts';
import { declareListContract } from './contract-lists.ts';
import { declareObjectContract } from './contract-objects.ts';
import { declarePodContract } from './contract-pods.ts';
import { declareWatchContract } from './contract-watches.ts';

/** A kind made for the contract; the server under test must have it. */
export const CONTRACT_CRD = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.contract.romana.io' },
  spec: {
    group: 'contract.romana.io',
    scope: 'Namespaced',
    names: { plural: 'widgets', singular: 'widget', kind: 'Widget', shortNames: ['wd'] },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            required: ['spec'],
            properties: {
              spec: {
                type: 'object',
                required: ['plans'],
                properties: {
                  plans: {
                    type: 'array',
                    maxItems: 3,
                    items: {
                      type: 'object',
                      required: ['cidr'],
                      properties: {
                        cidr: { type: 'string', pattern: '^[0-9a-f.:]+/[0-9]+$' },
                        bits: { type: 'integer', minimum: 1, maximum: 30, default: 8 },
                      },
                    },
                  },
                  mode: { type: 'string', enum: ['fast', 'slow'], default: 'fast' },
                  note: { type: 'string', nullable: true },
                  size: { 'x-kubernetes-int-or-string': true },
                  labels: { type: 'object', additionalProperties: { type: 'string' } },
                  free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
                },
              },
              status: { type: 'object', properties: { phase: { type: 'string' } } },
            },
          },
        },
      },
    ],
  },
};

/**
 * Declares the tests that hold for every Kubernetes API server that our parts may meet, ours as well as the real one.
 *
 * @param target called once, when the first test runs.
 */
export function declareContract(target: () => Promise<ContractTarget>): void {
  let made: Promise<ContractClient> | undefined;
  const client = (): Promise<ContractClient> => (made ??= target().then((t) => new ContractClient(t)));
  declareObjectContract(client);
  declareListContract(client);
  declareWatchContract(client);
  declarePodContract(client);
}
