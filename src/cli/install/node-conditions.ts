import { isConflict, isNotFound, type KubeClient } from '../../kube/client.ts';
import { identityOf } from '../../kube/json.ts';
import { Field } from '../../objects/field.ts';
import { NODES } from '../../objects/resources.ts';

/** How often a Node is read again when somebody else wrote between. */
const MAX_CONFLICTS = 5;

/** Takes the condition NetworkUnavailable away from Nodes: whoever cares for their network from now on says it anew. */
export async function forgetNodeConditions(client: KubeClient): Promise<void> {
  const { items } = await client.list(NODES);
  for (const json of items) await forget(client, identityOf(json).name);
}

async function forget(client: KubeClient, name: string): Promise<void> {
  for (let conflicts = 0; ; conflicts += 1) {
    try {
      const json = await client.get(NODES, name);
      const conditions = Field.root(json).get('status').get('conditions').items();
      const others = conditions.filter((item) => item.get('type').value !== 'NetworkUnavailable');
      if (others.length === conditions.length) return;
      const { resourceVersion } = identityOf(json);
      const patch = { metadata: { resourceVersion }, status: { conditions: others.map(({ value }) => value) } };
      await client.patch(NODES, name, patch, { subresource: 'status' });
      return;
    } catch (error) {
      if (isNotFound(error)) return;
      if (!isConflict(error) || conflicts === MAX_CONFLICTS) throw error;
    }
  }
}
