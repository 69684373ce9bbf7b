import type { Clock } from '../../lib/clock.ts';
import {
  arrayAt,
  at,
  ensureObject,
  objectAt,
  textAt,
  timestamp,
  type ApiObject,
  type JsonObject,
} from './api-object.ts';
import type { Kind } from './kind.ts';
import type { ObjectService } from './object-service.ts';
import { conflict, invalid } from './status-error.ts';

const BINDING = { group: '', plural: 'pods/binding' };

/** Sets, in place, the condition PodScheduled; its time moves only when its status does. */
export function setPodScheduled(pod: ApiObject, condition: JsonObject, now: number): void {
  const status = ensureObject(pod, 'status');
  const others = arrayAt(status, 'conditions').filter((c) => at(c, 'type') !== 'PodScheduled');
  const before = arrayAt(status, 'conditions').find((c) => at(c, 'type') === 'PodScheduled');
  const same = textAt(before, 'status') === condition['status'];
  const lastTransitionTime = same ? textAt(before, 'lastTransitionTime') : timestamp(now);
  status['conditions'] = [...others, { type: 'PodScheduled', lastTransitionTime, ...condition }];
}

/**
 * Gives a Pod to a node: what the subresource `binding` does, for the scheduler and for requests.
 *
 * @throws StatusError 404, 409 when it is bound already or being deleted, 422
 */
export function bindPod(
  { objects, clock }: { objects: ObjectService; clock: Clock },
  kind: Kind,
  namespace: string,
  name: string,
  binding: unknown,
): void {
  const target = objectAt(binding, 'target');
  const node = textAt(target, 'name');
  if (node === '' || (textAt(target, 'kind') || 'Node') !== 'Node') {
    const message = `Invalid value: ${JSON.stringify(target)}: must name a Node`;
    throw invalid({ group: '', kind: 'Binding' }, name, [{ reason: 'FieldValueInvalid', message, field: 'target' }]);
  }
  const uid = textAt(binding, 'metadata', 'uid');
  objects.amend(kind, namespace, name, (pod) => {
    const bound = textAt(pod, 'spec', 'nodeName');
    if (uid !== '' && uid !== pod.metadata.uid)
      throw conflict(
        kind,
        name,
        `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${pod.metadata.uid}`,
      );
    if (pod.metadata.deletionTimestamp !== undefined)
      throw conflict(BINDING, name, `pod ${name} is being deleted, cannot be assigned to a host`);
    if (bound !== '') throw conflict(BINDING, name, `pod ${name} is already assigned to node "${bound}"`);
    ensureObject(pod, 'spec')['nodeName'] = node;
    setPodScheduled(pod, { status: 'True' }, clock.now());
  });
}
