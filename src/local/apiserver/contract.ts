import { ContractClient, type ContractTarget } from './contract-client.ts';
import { declareListContract } from './contract-lists.ts';
import { declareObjectContract } from './contract-objects.ts';
import { declarePodContract } from './contract-pods.ts';
import { declareSceneContract } from './contract-scenes.ts';
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
                  short: { type: 'string', minLength: 1, maxLength: 5 },
                  addresses: { type: 'array', items: { type: 'string', format: 'ipv4' } },
                  network: { type: 'string', format: 'cidr' },
                  since: { type: 'string', format: 'date-time' },
                  weight: { type: 'number', minimum: 0, exclusiveMinimum: true, multipleOf: 0.5 },
                  ratio: { type: 'number' },
                  on: { type: 'boolean' },
                  limits: {
                    type: 'object',
                    minProperties: 1,
                    maxProperties: 2,
                    additionalProperties: { type: 'integer' },
                  },
                  either: {
                    type: 'object',
                    properties: { a: { type: 'integer' }, b: { type: 'integer' } },
                    oneOf: [{ required: ['a'] }, { required: ['b'] }],
                  },
                  keyed: {
                    type: 'array',
                    'x-kubernetes-list-type': 'map',
                    'x-kubernetes-list-map-keys': ['name'],
                    items: { type: 'object', required: ['name'], properties: { name: { type: 'string' } } },
                  },
                  set: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } },
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
 * @param real whether it is Kubernetes' own.
 */
export function declareContract(target: () => Promise<ContractTarget>, real: boolean): void {
  let made: Promise<ContractClient> | undefined;
  const client = (): Promise<ContractClient> => (made ??= target().then((t) => new ContractClient(t)));
  declareObjectContract(client);
  declareListContract(client);
  declareWatchContract(client);
  declarePodContract(client);
  declareSceneContract(client, real);
}
