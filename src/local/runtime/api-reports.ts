import { randomBytes } from 'node:crypto';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { isConflict, isNotFound, type KubeClient } from '../../kube/client.ts';
import { EVENTS, PODS } from '../../objects/resources.ts';
import type { PodSpec } from './pod-spec.ts';
import type { PodReports } from './pod-worker.ts';

/** Events under way at once; more are dropped, since nobody waits for them. */
const MAX_EVENTS = 64;

/** Tells the API server what becomes of pods. */
export function apiReports(client: KubeClient, node: string, clock: Clock, log: Log): PodReports {
  let events = 0;
  return {
    status: async (pod, status) => {
      try {
        // With the uid, a namesake that came meanwhile does not get this status.
        const patch = { metadata: { uid: pod.uid }, status };
        await client.patch(PODS, pod.name, patch, { namespace: pod.namespace, subresource: 'status' });
      } catch (error) {
        if (!isGoneOrOther(error)) throw error;
      }
    },
    deleted: async (pod) => {
      try {
        await client.delete(PODS, pod.name, { namespace: pod.namespace, gracePeriodSeconds: 0, uid: pod.uid });
      } catch (error) {
        if (!isGoneOrOther(error)) throw error;
      }
    },
    event: (pod, type, reason, message) => {
      if (events >= MAX_EVENTS) return;
      events += 1;
      client
        .create(EVENTS, eventObject(pod, node, { type, reason, message }, clock.now()))
        .catch((error: unknown) => {
          // A namespace that is being deleted takes no events.
          log.debug({ reason, why: error instanceof Error ? error.message : String(error) }, 'event not recorded');
        })
        .finally(() => (events -= 1));
    },
  };
}

function isGoneOrOther(error: unknown): boolean {
  return isNotFound(error) || isConflict(error);
}

function eventObject(
  pod: PodSpec,
  node: string,
  what: { readonly type: string; readonly reason: string; readonly message: string },
  now: number,
): object {
  const time = new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: `${pod.name}.${randomBytes(8).toString('hex')}`, namespace: pod.namespace },
    involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace: pod.namespace, name: pod.name, uid: pod.uid },
    ...what,
    source: { component: 'romana-local-runtime', host: node },
    reportingComponent: 'romana-local-runtime',
    reportingInstance: node,
    firstTimestamp: time,
    lastTimestamp: time,
    count: 1,
  };
}
