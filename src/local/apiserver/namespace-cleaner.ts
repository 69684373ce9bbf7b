import type { Clock } from '../../lib/clock.ts';
import { CoalescingRunner } from '../../lib/coalescing-runner.ts';
import type { Log } from '../../lib/log.ts';
import type { ApiObject } from './api-object.ts';
import { contentFinalizers } from './builtin-kinds.ts';
import type { Deletion } from './deletion.ts';
import type { Kind, KindRegistry } from './kind.ts';
import type { ObjectService } from './object-service.ts';
import type { Store } from './store.ts';
import type { WatchHub } from './watch-hub.ts';

/** What the server's own loops work with. */
export interface LoopParts {
  readonly store: Store;
  readonly hub: WatchHub;
  readonly objects: ObjectService;
  readonly deletion: Deletion;
  readonly registry: KindRegistry;
  readonly clock: Clock;
  readonly log: Log;
}

const AS_IT_SAYS = { gracePeriodSeconds: undefined, uid: undefined, resourceVersion: undefined, dryRun: false };

/** How many objects are deleted before other requests get their turn. */
const BATCH = 50;

/** Deletes what is in Namespaces that are being deleted, and lets them go when they are empty. */
export class NamespaceCleaner {
  readonly #parts: LoopParts;
  readonly #namespaces: Kind;
  readonly #contents: readonly Kind[];
  readonly #runner: CoalescingRunner;
  readonly #terminating = new Set<string>();

  constructor(parts: LoopParts) {
    this.#parts = parts;
    this.#namespaces = parts.registry.byKey('namespaces');
    this.#contents = parts.registry.all.filter((kind) => kind.namespaced);
    this.#runner = new CoalescingRunner(() => this.#clean(), {
      clock: parts.clock,
      onError: (error) => parts.log.error({ err: error }, 'namespace clean-up failed, will be repeated'),
    });
  }

  /** Begins; also takes up what an earlier run of the server left. */
  start(): void {
    const { store, hub } = this.#parts;
    hub.subscribe('namespaces', ({ object, type }) => this.#note(object, type === 'DELETED'));
    for (const { text } of store.list('namespaces')) this.#note(JSON.parse(text) as ApiObject, false);
    for (const kind of this.#contents)
      hub.subscribe(kind.key, ({ type, object }) => {
        if (type === 'DELETED' && this.#terminating.has(object.metadata.namespace ?? '')) this.#runner.markDirty();
      });
  }

  /** Ends after the pass that is under way. */
  async stop(): Promise<void> {
    await this.#runner.stop();
  }

  #note(namespace: ApiObject, gone: boolean): void {
    const { name, deletionTimestamp } = namespace.metadata;
    if (gone || deletionTimestamp === undefined || contentFinalizers(namespace).length === 0) {
      this.#terminating.delete(name);
      return;
    }
    this.#terminating.add(name);
    this.#runner.markDirty();
  }

  async #clean(): Promise<void> {
    for (const namespace of this.#terminating) {
      await this.#empty(namespace);
      if (!this.#isEmpty(namespace)) continue;
      this.#parts.objects.amend(this.#namespaces, '', namespace, (object) => {
        object.spec = { finalizers: [] };
      });
    }
  }

  async #empty(namespace: string): Promise<void> {
    const { store, deletion } = this.#parts;
    let count = 0;
    for (const kind of this.#contents)
      for (const { name } of store.list(kind.key, { namespace })) {
        // Others may have been quicker while this loop gave way.
        const object = store.get(kind.key, namespace, name);
        if (object === undefined || object.metadata.deletionTimestamp !== undefined) continue;
        deletion.delete(kind, namespace, name, AS_IT_SAYS);
        if (++count % BATCH === 0) await new Promise((resolve) => setImmediate(resolve));
      }
  }

  #isEmpty(namespace: string): boolean {
    return this.#contents.every((kind) => this.#parts.store.list(kind.key, { namespace, limit: 1 }).length === 0);
  }
}
