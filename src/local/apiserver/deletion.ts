import type { Clock } from '../../lib/clock.ts';
import { arrayAt, at, isObject, textAt, timestamp, type ApiObject } from './api-object.ts';
import type { Kind } from './kind.ts';
import { mayGo, type ObjectService } from './object-service.ts';
import { badRequest, conflict, forbidden, unsupportedOption } from './status-error.ts';
import type { Store } from './store.ts';

/** What a deletion may ask for (meta/v1 DeleteOptions). */
export interface DeleteOptions {
  /** Seconds that a Pod has to end; undefined: as the Pod says. */
  readonly gracePeriodSeconds: number | undefined;
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
  readonly dryRun: boolean;
}

/** How a deletion ended: the object's last state, and whether it is gone or only marked. */
export interface Deleted {
  readonly object: ApiObject;
  readonly gone: boolean;
}

/** What may become of an object's dependents; nothing here has any. */
const PROPAGATION = ['Foreground', 'Background', 'Orphan'];
const KEPT_NAMESPACES = new Set(['default', 'kube-system']);

/** Reads DeleteOptions from a body (may be undefined) and the query. @throws StatusError 400, 422 */
export function parseDeleteOptions(body: unknown, query: URLSearchParams): DeleteOptions {
  if (body !== undefined && !isObject(body)) throw badRequest('the body of a deletion must be DeleteOptions');
  const kind = textAt(body, 'kind');
  if (kind !== '' && kind !== 'DeleteOptions')
    throw badRequest(`the body of a deletion is a ${kind}, not DeleteOptions`);
  const grace = at(body, 'gracePeriodSeconds') ?? query.get('gracePeriodSeconds') ?? undefined;
  const seconds = grace === undefined || grace === '' ? undefined : Number(grace);
  if (seconds !== undefined && (!Number.isInteger(seconds) || seconds < 0))
    throw badRequest(`gracePeriodSeconds must be a number of seconds, not ${JSON.stringify(grace)}`);
  const propagation = textAt(body, 'propagationPolicy') || (query.get('propagationPolicy') ?? '');
  if (propagation !== '' && !PROPAGATION.includes(propagation))
    throw unsupportedOption('DeleteOptions', 'propagationPolicy', propagation, [...PROPAGATION, 'nil']);
  const dryRun = [...query.getAll('dryRun'), ...arrayAt(body, 'dryRun')].filter((one) => one !== '');
  if (dryRun.some((one) => one !== 'All')) throw unsupportedOption('DeleteOptions', 'dryRun', dryRun, ['All']);
  return {
    gracePeriodSeconds: seconds,
    uid: textAt(body, 'preconditions', 'uid') || undefined,
    resourceVersion: textAt(body, 'preconditions', 'resourceVersion') || undefined,
    dryRun: dryRun.length > 0,
  };
}

/** Deletions name the kind where other conflicts name the resource, in Kubernetes too. */
function preconditionFailed(kind: Kind, name: string, why: string): Error {
  return conflict({ group: kind.group, plural: kind.kind }, name, why);
}

/** Seconds that an object lives on after its deletion: only Pods that a node runs do. */
function graceOf(kind: Kind, object: ApiObject, asked: number | undefined): number {
  if (kind.key !== 'pods' || textAt(object, 'spec', 'nodeName') === '') return 0;
  if (['Succeeded', 'Failed'].includes(textAt(object, 'status', 'phase'))) return 0;
  const own = at(object, 'spec', 'terminationGracePeriodSeconds');
  return asked ?? (typeof own === 'number' ? own : 30);
}

/** Deletes objects: at once, or by a mark that its finalizers, its node or the namespace clean-up then complete. */
export class Deletion {
  readonly #store: Store;
  readonly #objects: ObjectService;
  readonly #clock: Clock;

  constructor(store: Store, objects: ObjectService, clock: Clock) {
    this.#store = store;
    this.#objects = objects;
    this.#clock = clock;
  }

  /** Deletes one object. @throws StatusError 403, 404, 409 */
  delete(kind: Kind, namespace: string, name: string, options: DeleteOptions): Deleted {
    return this.#store.transaction(() => {
      const old = this.#objects.get(kind, namespace, name);
      if (kind.key === 'namespaces' && KEPT_NAMESPACES.has(name))
        throw forbidden(kind, name, 'this namespace may not be deleted');
      const { uid, resourceVersion } = old.metadata;
      if (options.uid !== undefined && options.uid !== uid)
        throw preconditionFailed(
          kind,
          name,
          `the UID in the precondition (${options.uid}) does not match the UID in record (${uid}). The object might have been deleted and then recreated`,
        );
      if (options.resourceVersion !== undefined && options.resourceVersion !== resourceVersion)
        throw preconditionFailed(
          kind,
          name,
          `the ResourceVersion in the precondition (${options.resourceVersion}) does not match the ResourceVersion in record (${resourceVersion}). The object might have been modified`,
        );
      const next = this.#marked(kind, old, graceOf(kind, old, options.gracePeriodSeconds));
      return { object: this.#objects.write(kind, old, next), gone: mayGo(kind, next) };
    }, options.dryRun);
  }

  /** The object with its mark of deletion; a later deletion can only shorten the time it has. */
  #marked(kind: Kind, old: ApiObject, grace: number): ApiObject {
    const next = structuredClone(old);
    const { metadata } = next;
    const before = metadata.deletionGracePeriodSeconds ?? Infinity;
    if (metadata.deletionTimestamp !== undefined && grace >= before) return next;
    metadata.deletionTimestamp ??= timestamp(this.#clock.now());
    metadata.deletionGracePeriodSeconds = grace;
    if (kind.key === 'pods') metadata.deletionTimestamp = timestamp(this.#clock.now() + grace * 1_000);
    if (kind.key === 'namespaces') {
      delete metadata.deletionGracePeriodSeconds;
      next.status = { ...(isObject(next.status) ? next.status : {}), phase: 'Terminating' };
    }
    // A deletion that only shortens the time is not counted.
    if (kind.hasGeneration && before === Infinity) metadata.generation = (metadata.generation ?? 0) + 1;
    return next;
  }
}
