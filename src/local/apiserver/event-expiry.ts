import type { ApiObject } from './api-object.ts';
import type { LoopParts } from './namespace-cleaner.ts';

const LIFETIME_MS = 60 * 60 * 1_000;
const LIMIT = 5_000;
const EVERY_MS = 60_000;

/** Keeps Events for an hour, as Kubernetes does, and at most 5,000 of them. Ends when `signal` aborts. */
export async function expireEvents(parts: LoopParts, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      removeOldEvents(parts);
    } catch (error) {
      parts.log.error({ err: error }, 'removal of old events failed, will be repeated');
    }
    await parts.clock.sleep(EVERY_MS, signal).catch(() => undefined);
  }
}

function removeOldEvents({ store, deletion, registry, clock }: LoopParts): void {
  const kind = registry.byKey('events');
  const events = store
    .list(kind.key)
    .map(({ text }) => (JSON.parse(text) as ApiObject).metadata)
    .map(({ namespace = '', name, creationTimestamp }) => ({ namespace, name, madeAt: Date.parse(creationTimestamp) }))
    .sort((a, b) => b.madeAt - a.madeAt);
  const oldest = clock.now() - LIFETIME_MS;
  for (const [i, { namespace, name, madeAt }] of events.entries())
    if (i >= LIMIT || madeAt < oldest)
      deletion.delete(kind, namespace, name, {
        gracePeriodSeconds: 0,
        uid: undefined,
        resourceVersion: undefined,
        dryRun: false,
      });
}
