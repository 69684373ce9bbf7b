import type { KubeClient } from '../../src/kube/client.ts';
import { waitFor } from '../../src/lib/wait-for.ts';

const API = 'admissionregistration.k8s.io/v1';

/** How the API server is to change what others make, of a kind in `apps/v1`. */
export interface Mutation {
  readonly name: string;
  /** Plural of the kind. */
  readonly resource: string;
  /** Which objects, in CEL; all of them without. */
  readonly when?: string;
  /** A list of JSONPatch, in CEL. */
  readonly patches: string;
  /** One that is changed, which is only tried and never made. */
  readonly tried: object;
  /** Whether it has been changed. */
  readonly changed: (spec: string) => boolean;
}

/** Has a cluster's API server change objects as they are made, by a MutatingAdmissionPolicy; waits until it does. */
export async function mutate(client: KubeClient, mutation: Mutation): Promise<void> {
  const { name, resource, when, patches, tried, changed } = mutation;
  await client.raw('POST', `/apis/${API}/mutatingadmissionpolicies`, {
    apiVersion: API,
    kind: 'MutatingAdmissionPolicy',
    metadata: { name },
    spec: {
      failurePolicy: 'Fail',
      reinvocationPolicy: 'Never',
      matchConstraints: {
        resourceRules: [
          { apiGroups: ['apps'], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE'], resources: [resource] },
        ],
      },
      ...(when === undefined ? {} : { matchConditions: [{ name: 'which', expression: when }] }),
      mutations: [{ patchType: 'JSONPatch', jsonPatch: { expression: patches } }],
    },
  });
  await client.raw('POST', `/apis/${API}/mutatingadmissionpolicybindings`, {
    apiVersion: API,
    kind: 'MutatingAdmissionPolicyBinding',
    metadata: { name },
    spec: { policyName: name },
  });
  // A policy holds some time after it is made.
  await waitFor(
    `the admission policy ${name} to hold`,
    async () => {
      const made = await client.raw('POST', `/apis/apps/v1/namespaces/default/${resource}?dryRun=All`, tried);
      return changed(JSON.stringify((made as { spec: unknown }).spec));
    },
    { timeoutMs: 60_000, everyMs: 200 },
  );
}
