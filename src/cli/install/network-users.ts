import { contains } from '../../addr/cidr.ts';
import type { KubeClient } from '../../kube/client.ts';
import { type Host, parseHost } from '../../objects/host.ts';
import { parsePod, podFinished, type Pod } from '../../objects/pod.ts';
import { HOSTS, PODS } from '../../objects/resources.ts';
import { isNotFound } from '../../kube/client.ts';

/** The pods that have addresses of hosts: those that would lose their network with Romana. */
export async function networkUsers(client: KubeClient): Promise<readonly Pod[]> {
  const ranges = (await hostsOf(client)).flatMap((host) => host.ranges);
  const { items } = await client.list(PODS);
  return items.flatMap((json) => {
    const pod = parsePod(json);
    if (!pod.ok || pod.value.hostNetwork || podFinished(pod.value)) return [];
    const inside = pod.value.addresses.some((address) => ranges.some((range) => contains(range, address)));
    return inside ? [pod.value] : [];
  });
}

async function hostsOf(client: KubeClient): Promise<readonly Host[]> {
  const list = await client.list(HOSTS).catch((error: unknown) => {
    if (isNotFound(error)) return { items: [] }; // uninstalled, but for the rest
    throw error;
  });
  return list.items.map(parseHost).flatMap((parsed) => (parsed.ok ? [parsed.value] : []));
}
