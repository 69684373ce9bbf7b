import { NODE_LEASE } from '../node-lease.ts';
import { arrayAt, isObject, textAt, timestamp, type ApiObject, type JsonObject } from './api-object.ts';
import type { LoopParts } from './namespace-cleaner.ts';

/** Silence is counted in looks, so that a server that was stopped itself holds that against nobody. */
const LOOK_MS = 1_000;
const MAX_SILENT_LOOKS = (NODE_LEASE.seconds * 1_000) / LOOK_MS;

/**
 * Doubts nodes that have gone silent, as Kubernetes' node lifecycle controller does: their condition Ready becomes
 * Unknown, and that of their pods False. Pods are not evicted. Whoever comes back says so by itself.
 */
export class NodeMonitor {
  readonly #parts: LoopParts;
  /** Nodes that have said whether they are ready, and looks since they were last heard of. */
  readonly #silent = new Map<string, number>();

  constructor(parts: LoopParts) {
    this.#parts = parts;
  }

  /** Runs until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { store, hub, clock, log } = this.#parts;
    hub.subscribe('nodes', ({ type, object }) => this.#note(object, type === 'DELETED'));
    hub.subscribe('leases.coordination.k8s.io', ({ object: { metadata } }) => {
      if (metadata.namespace === NODE_LEASE.namespace && this.#silent.has(metadata.name)) {
        this.#silent.set(metadata.name, 0);
      }
    });
    for (const { text } of store.list('nodes')) this.#note(JSON.parse(text) as ApiObject, false);
    for (;;) {
      await clock.sleep(LOOK_MS, signal).catch(() => undefined);
      if (signal.aborted) return;
      try {
        this.#look();
      } catch (error) {
        log.error({ err: error }, 'doubting silent nodes failed, will be repeated');
      }
    }
  }

  #note(node: ApiObject, gone: boolean): void {
    const { name } = node.metadata;
    const ready = textAt(readyOf(node), 'status');
    if (gone || ready === '' || ready === 'Unknown') this.#silent.delete(name);
    else this.#silent.set(name, this.#silent.get(name) ?? 0);
  }

  #look(): void {
    for (const [name, looks] of this.#silent) {
      this.#silent.set(name, looks + 1);
      if (looks >= MAX_SILENT_LOOKS) this.#doubt(name);
    }
  }

  #doubt(name: string): void {
    const { store, objects, registry, clock, log } = this.#parts;
    const lastTransitionTime = timestamp(clock.now());
    // The node last: should this be cut short, it is begun again.
    for (const { text } of store.list('pods')) {
      const pod = JSON.parse(text) as ApiObject;
      const { namespace = '', name: podName } = pod.metadata;
      if (textAt(pod, 'spec', 'nodeName') !== name || textAt(readyOf(pod), 'status') !== 'True') continue;
      objects.amend(registry.byKey('pods'), namespace, podName, (object) => {
        Object.assign(readyOf(object) ?? {}, { status: 'False', lastTransitionTime });
      });
    }
    objects.amend(registry.byKey('nodes'), '', name, (object) => {
      const message = 'Kubelet stopped posting node status.';
      const change = { status: 'Unknown', reason: 'NodeStatusUnknown', message, lastTransitionTime };
      Object.assign(readyOf(object) ?? {}, change);
    });
    log.warn({ node: name }, 'has stopped reporting');
  }
}

/** The condition Ready within the object. */
function readyOf(object: ApiObject): JsonObject | undefined {
  return arrayAt(object, 'status', 'conditions')
    .filter(isObject)
    .find(({ type }) => type === 'Ready');
}
