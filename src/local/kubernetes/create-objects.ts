import { isConflict, type KubeClient } from '../../kube/client.ts';
import { findResource } from '../../kube/find-resource.ts';
import { waitFor } from '../../lib/wait-for.ts';
import { nameOf, textAt } from '../kube-json.ts';

/** How long the API server may take to serve a kind that was just defined, in milliseconds. */
const SERVED_MS = 20_000;

/** Creates objects in their order; those that are there already stay as they are. */
export async function createObjects(
  client: KubeClient,
  objects: readonly object[],
  signal: AbortSignal,
): Promise<void> {
  for (const object of objects) {
    const [apiVersion, kind] = [textAt(object, 'apiVersion'), textAt(object, 'kind')];
    const resource = await waitFor(
      `${kind} of ${apiVersion} to be served`,
      async () => {
        const found = await findResource(client, apiVersion, kind);
        return found.ok ? found.value : undefined;
      },
      { timeoutMs: SERVED_MS, everyMs: 100, signal },
    );
    const namespace = textAt(object, 'metadata', 'namespace') || undefined;
    try {
      await client.create(resource, object, resource.namespaced ? (namespace ?? 'default') : undefined);
    } catch (cause) {
      if (isConflict(cause)) continue;
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`can't create ${kind} ${nameOf(object)}: ${why}`, { cause });
    }
  }
}
