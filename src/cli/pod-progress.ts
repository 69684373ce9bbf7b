import type { Clock } from '../lib/clock.ts';
import { isStatus, type KubeClient } from '../kube/client.ts';
import { asText } from '../kube/json.ts';
import { Field } from '../objects/field.ts';
import { EVENTS, PODS } from '../objects/resources.ts';

/** How far a Pod is. */
export interface PodProgress {
  /** Whether all its containers are ready. */
  readonly ready: boolean;
  /** Whether its containers have ended for good. */
  readonly finished: boolean;
  /** How far it is, in words: `it is Pending on minion1, back-off pulling image "nginx"`. */
  readonly words: string;
}

/** How often a creation that is refused for the time being is tried again, in milliseconds. */
const AGAIN_MS = 100;

/** How far the Pod of this JSON is. */
export function podProgress(json: unknown): PodProgress {
  const root = Field.root(json);
  const status = root.get('status');
  const phase = asText(status.get('phase').value) || 'Pending';
  const node = asText(root.get('spec').get('nodeName').value) || 'no node';
  const conditions = status.get('conditions').items();
  const condition = (type: string): Field | undefined => conditions.find((one) => one.get('type').value === type);
  const states = ['initContainerStatuses', 'containerStatuses']
    .flatMap((key) => status.get(key).items())
    .flatMap((container) => [container.get('state').get('waiting'), container.get('state').get('terminated')])
    .filter((state) => !state.absent);
  const why = states.map(told).find((words) => words !== '');
  const unscheduled = condition('PodScheduled');
  const reason =
    why ?? (unscheduled?.get('status').value === 'False' ? told(unscheduled) : asText(status.get('message').value));
  return {
    ready: condition('Ready')?.get('status').value === 'True',
    finished: phase === 'Succeeded' || phase === 'Failed',
    words: `it is ${phase} on ${node}${reason === '' ? '' : `, ${reason}`}`,
  };
}

function told(state: Field): string {
  const [reason, message] = ['reason', 'message'].map((key) => asText(state.get(key).value).trim());
  const exit = state.get('exitCode').value;
  if (message !== '' && message !== undefined) return message;
  return typeof exit === 'number' ? `${reason}, exit status ${exit}` : (reason ?? '');
}

/** The newest warning about a pod, as a kubelet gives where it has no network; '' where there is none. */
export async function lastWarning(client: KubeClient, namespace: string, pod: string): Promise<string> {
  const fieldSelector = `involvedObject.kind=Pod,involvedObject.name=${pod},type=Warning`;
  const { items } = await client.list(EVENTS, { namespace, fieldSelector });
  const newest = [...items].sort((a, b) => (timeOf(a) < timeOf(b) ? 1 : -1))[0];
  return asText(Field.root(newest).get('message').value);
}

/** When an Event was last, in RFC 3339: old and new kinds of events say so in different fields. */
function timeOf(event: unknown): string {
  const root = Field.root(event);
  const times = ['lastTimestamp', 'eventTime'].map((key) => asText(root.get(key).value));
  return times.find((text) => text !== '') ?? asText(root.get('metadata').get('creationTimestamp').value);
}

/**
 * Creates a Pod, which a namespace takes once the cluster has given it its service account: a moment after it was
 * made. Returns it as stored.
 *
 * @throws Error as `KubeClient.create`, after `patienceMs` also where the service account does not come
 */
export async function createPod(
  client: KubeClient,
  pod: object,
  namespace: string,
  { clock, patienceMs, signal }: { readonly clock: Clock; readonly patienceMs: number; readonly signal: AbortSignal },
): Promise<unknown> {
  const end = clock.now() + patienceMs;
  for (;;) {
    signal.throwIfAborted();
    try {
      return await client.create(PODS, pod, namespace);
    } catch (error) {
      const early = isStatus(error, 403) && /service ?account/i.test(error.message);
      if (!early || clock.now() >= end) throw error;
    }
    await clock.sleep(AGAIN_MS, signal);
  }
}
