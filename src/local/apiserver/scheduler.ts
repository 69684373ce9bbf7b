import { randomUUID } from 'node:crypto';
import { CoalescingRunner } from '../../lib/coalescing-runner.ts';
import { textAt, timestamp, type ApiObject } from './api-object.ts';
import { bindPod, setPodScheduled } from './binding.ts';
import { keyOf } from './api-object.ts';
import type { Kind } from './kind.ts';
import type { LoopParts } from './namespace-cleaner.ts';
import { type HostPort, hostPortsOf } from './host-ports.ts';
import { type NodeUse, place } from './placement.ts';
import { StatusError } from './status-error.ts';
import type { ChangeType } from './store.ts';

const NAME = 'default-scheduler';

/** Gives every pod that has no node one, as soon as one can take it. */
export class Scheduler {
  readonly #parts: LoopParts;
  readonly #pods: Kind;
  readonly #events: Kind;
  readonly #runner: CoalescingRunner;
  readonly #nodes = new Map<string, ApiObject>();
  /** Pods without a node by key, longest waiting first. */
  readonly #pending = new Map<string, ApiObject>();
  readonly #nodeOf = new Map<string, string>();
  readonly #load = new Map<string, number>();
  /** Ports that pods take of their nodes, by key of the pod. */
  readonly #ports = new Map<string, readonly HostPort[]>();
  /** What was last said about a pod that fits nowhere, by its uid. */
  readonly #said = new Map<string, string>();

  constructor(parts: LoopParts) {
    this.#parts = parts;
    this.#pods = parts.registry.byKey('pods');
    this.#events = parts.registry.byKey('events');
    this.#runner = new CoalescingRunner(() => this.#schedule(), {
      clock: parts.clock,
      onError: (error) => parts.log.error({ err: error }, 'scheduling failed, will be repeated'),
    });
  }

  /** Begins with what there is. */
  start(): void {
    const { store, hub } = this.#parts;
    hub.subscribe('nodes', ({ type, object }) => this.#noteNode(type, object));
    hub.subscribe('pods', ({ type, object }) => this.#notePod(type, object));
    for (const { text } of store.list('nodes')) this.#noteNode('ADDED', JSON.parse(text) as ApiObject);
    for (const { text } of store.list('pods')) this.#notePod('ADDED', JSON.parse(text) as ApiObject);
  }

  /** Ends after the pass that is under way. */
  async stop(): Promise<void> {
    await this.#runner.stop();
  }

  #noteNode(type: ChangeType, node: ApiObject): void {
    if (type === 'DELETED') this.#nodes.delete(node.metadata.name);
    else this.#nodes.set(node.metadata.name, node);
    if (this.#pending.size > 0) this.#runner.markDirty();
  }

  #notePod(type: ChangeType, pod: ApiObject): void {
    const key = keyOf(pod);
    const { deletionTimestamp, uid } = pod.metadata;
    const node = textAt(pod, 'spec', 'nodeName');
    const finished = ['Succeeded', 'Failed'].includes(textAt(pod, 'status', 'phase'));
    this.#count(key, type === 'DELETED' || finished ? '' : node);
    this.#notePorts(pod, key);
    const ours = textAt(pod, 'spec', 'schedulerName') === NAME;
    if (type === 'DELETED' || node !== '' || deletionTimestamp !== undefined || finished || !ours) {
      this.#pending.delete(key);
      this.#said.delete(uid);
      return;
    }
    this.#pending.set(key, pod);
    this.#runner.markDirty();
  }

  #notePorts(pod: ApiObject, key: string): void {
    const ports = this.#nodeOf.has(key) ? hostPortsOf(pod) : [];
    if (ports.length > 0) this.#ports.set(key, ports);
    // Somebody may have waited for them.
    else if (this.#ports.delete(key) && this.#pending.size > 0) this.#runner.markDirty();
  }

  #portsOn(node: string): readonly HostPort[] {
    return [...this.#ports].flatMap(([key, ports]) => (this.#nodeOf.get(key) === node ? ports : []));
  }

  /** Notes that a pod is on a node, '' for none. */
  #count(key: string, node: string): void {
    const before = this.#nodeOf.get(key) ?? '';
    if (before === node) return;
    if (before !== '') this.#load.set(before, (this.#load.get(before) ?? 1) - 1);
    if (node === '') this.#nodeOf.delete(key);
    else {
      this.#nodeOf.set(key, node);
      this.#load.set(node, (this.#load.get(node) ?? 0) + 1);
    }
  }

  #schedule(): void {
    const nodes = [...this.#nodes.values()].filter((node) => node.metadata.deletionTimestamp === undefined);
    const use: NodeUse = { load: (node) => this.#load.get(node) ?? 0, ports: (node) => this.#portsOn(node) };
    for (const pod of this.#pending.values()) {
      const placement = place(pod, nodes, use);
      try {
        if ('node' in placement) this.#bind(pod, placement.node);
        else this.#refuse(pod, placement.message);
      } catch (error) {
        // The pod or its namespace changed under us; its change brings it back if it still wants a node.
        if (!(error instanceof StatusError)) throw error;
        this.#parts.log.debug({ err: error, pod: keyOf(pod) }, 'pod not scheduled');
      }
    }
  }

  #bind(pod: ApiObject, node: string): void {
    const { name, namespace = '', uid } = pod.metadata;
    bindPod(this.#parts, this.#pods, namespace, name, { metadata: { uid }, target: { kind: 'Node', name: node } });
    this.#record(pod, 'Normal', 'Scheduled', `Successfully assigned ${keyOf(pod)} to ${node}`);
  }

  #refuse(pod: ApiObject, message: string): void {
    const { name, namespace = '', uid } = pod.metadata;
    if (this.#said.get(uid) === message) return;
    this.#said.set(uid, message);
    this.#parts.objects.amend(this.#pods, namespace, name, (object) => {
      const condition = { status: 'False', reason: 'Unschedulable', message };
      setPodScheduled(object, condition, this.#parts.clock.now());
    });
    this.#record(pod, 'Warning', 'FailedScheduling', message);
  }

  #record(pod: ApiObject, type: string, reason: string, message: string): void {
    const { name, namespace = '', uid, resourceVersion } = pod.metadata;
    const now = timestamp(this.#parts.clock.now());
    const event = {
      // A generated name may not begin with one that ends with a dot.
      metadata: { name: `${name}.${randomUUID().replaceAll('-', '').slice(0, 16)}` },
      involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace, name, uid, resourceVersion },
      type,
      reason,
      message,
      count: 1,
      firstTimestamp: now,
      lastTimestamp: now,
      source: { component: NAME },
      reportingComponent: NAME,
      reportingInstance: '',
    };
    this.#parts.objects.create(this.#events, namespace, event, { dryRun: false });
  }
}
