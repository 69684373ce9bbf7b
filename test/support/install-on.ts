import { readDeployManifests } from '../../src/cli/install/deploy-manifests.ts';
import { type InstallOptions, installObjects } from '../../src/cli/install/install-objects.ts';
import { findResource } from '../../src/kube/find-resource.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import type { JsonObject } from '../../src/objects/field.ts';
import { asRecord, asText } from '../../src/kube/json.ts';
import { fileURLToPath } from 'node:url';

/** Creates the objects of an installation, as `romana install | kubectl apply -f -` does. */
export async function installOn(client: KubeClient, options: InstallOptions = {}): Promise<void> {
  const manifests = await readDeployManifests(fileURLToPath(new URL('../../deploy', import.meta.url)));
  for (const object of installObjects(manifests, options)) await createObject(client, object);
}

/** Creates any object, as soon as its kind is served. */
export async function createObject(client: KubeClient, object: JsonObject): Promise<unknown> {
  const [apiVersion, kind] = [asText(object['apiVersion']), asText(object['kind'])];
  const resource = await waitFor(
    `${kind} to be served`,
    async () => {
      const found = await findResource(client, apiVersion, kind);
      return found.ok ? found.value : undefined;
    },
    { everyMs: 100 },
  );
  const namespace = asText(asRecord(object['metadata'])?.['namespace']);
  const create = (): Promise<unknown> => client.create(resource, object, namespace === '' ? undefined : namespace);
  // A kind that was just defined is in the discovery before it is served.
  return waitFor(`${kind} to be created`, async () => create().catch(onlyMissing), { everyMs: 100 });
}

function onlyMissing(error: unknown): undefined {
  if ((error as { status?: number }).status === 404) return undefined;
  throw error;
}
