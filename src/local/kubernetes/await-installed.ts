import { PODS } from '../../objects/resources.ts';
import { awaitStart, type ReadyOptions } from '../await-ready.ts';
import { conditionOf, nameOf, objectsAt, textAt } from '../kube-json.ts';

/** The namespaces whose pods belong to an installation. */
const NAMESPACES = new Set(['kube-system', 'romana-system']);

/** Waits until all pods of Romana and of the DNS are Ready. @throws Error that says which are not */
export async function awaitInstalled(options: ReadyOptions): Promise<void> {
  let waiting = '';
  try {
    await awaitStart(options, "Romana's and the DNS' pods to be Ready", async () => {
      const { items } = await options.client.list(PODS);
      const ours = items.filter((pod) => NAMESPACES.has(textAt(pod, 'metadata', 'namespace')));
      const late = ours.filter((pod) => conditionOf(pod, 'Ready')?.status !== 'True');
      waiting = late.map((pod) => `${nameOf(pod)}: ${whyWaiting(pod)}`).join('; ');
      return ours.length > 0 && late.length === 0;
    });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(waiting === '' ? why : `${why} (${waiting})`, { cause });
  }
}

function whyWaiting(pod: unknown): string {
  const [container] = objectsAt(pod, 'status', 'containerStatuses');
  const scheduled = conditionOf(pod, 'PodScheduled');
  const said = [
    textAt(container, 'state', 'waiting', 'reason'),
    textAt(container, 'state', 'waiting', 'message'),
    scheduled?.status === 'False' ? scheduled.message : '',
    textAt(pod, 'status', 'phase'),
  ];
  return said.find((text) => text !== '') ?? 'not seen by a node yet';
}
