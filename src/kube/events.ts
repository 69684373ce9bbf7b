import { randomBytes } from 'node:crypto';
import { Backoff } from '../lib/backoff.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { EVENTS } from '../objects/resources.ts';
import { ApiError, isNotFound, type KubeClient } from './client.ts';

/** The object that an event is about. */
export interface InvolvedObject {
  readonly apiVersion: string;
  readonly kind: string;
  /** Absent or '' for what is cluster scoped; such events are stored in `default`. */
  readonly namespace?: string | undefined;
  readonly name: string;
  readonly uid?: string | undefined;
}

/** Something worth telling whoever looks at an object. */
export interface Occurrence {
  readonly object: InvolvedObject;
  readonly type: 'Normal' | 'Warning';
  /** One word in UpperCamelCase. */
  readonly reason: string;
  /** A sentence; cut at 1,024 characters, as the API demands. */
  readonly message: string;
  /** For programs; of the first of equal occurrences. */
  readonly annotations?: Readonly<Record<string, string>>;
}

/** What a recorder needs. */
export interface EventRecorderOptions {
  readonly client: Pick<KubeClient, 'create' | 'patch'>;
  /** `romana-agent`, `romana-controller`. */
  readonly component: string;
  /** The node it runs on. */
  readonly host: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Ends what the recorder still has to write. */
  readonly signal: AbortSignal;
}

/** The same occurrence within this time, in milliseconds, is counted in one event. */
export const WINDOW_MS = 600_000;

/** Distinct occurrences that wait to be written; more are dropped, and the log says so. */
export const MAX_WAITING = 256;

/** Distinct occurrences that are remembered, for the counting. */
const MAX_REMEMBERED = 1_024;

/** Between two rounds of writing, in milliseconds: an occurrence in a hot loop makes one request a second. */
const ROUND_MS = 1_000;

const MAX_MESSAGE = 1_024;

interface Written {
  readonly name: string;
  readonly namespace: string;
  count: number;
  readonly since: number;
}

/** Writes core/v1 Events, in the background: it neither throws nor waits, whatever the API server does. */
export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #waiting = new Map<string, { readonly occurrence: Occurrence; count: number; lastAt: number }>();
  readonly #written = new Map<string, Written>();
  readonly #backoff = new Backoff({ initialMs: 500, maxMs: 30_000 });
  #dropped = 0;
  #running: Promise<void> | undefined;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  /** Occurrences that found the queue full. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Queues one occurrence. */
  record(occurrence: Occurrence): void {
    const { object, type, reason, message } = occurrence;
    const { kind, namespace = '', name, uid = '' } = object;
    const key = JSON.stringify([kind, namespace, name, uid, type, reason, message]);
    const lastAt = this.#options.clock.now();
    const waiting = this.#waiting.get(key);
    if (waiting !== undefined) {
      waiting.count += 1;
      waiting.lastAt = lastAt;
    } else if (this.#waiting.size < MAX_WAITING) {
      this.#waiting.set(key, { occurrence, count: 1, lastAt });
    } else {
      this.#dropped += 1;
      this.#options.log.warn({ reason, message, dropped: this.#dropped }, 'event dropped: too many wait to be written');
    }
    this.#start();
  }

  /** Resolves when nothing waits to be written. */
  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  #start(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      // Recorded after the last look at the queue.
      if (this.#waiting.size > 0 && !this.#options.signal.aborted) this.#start();
    });
  }

  async #run(): Promise<void> {
    const { clock, signal, log } = this.#options;
    // What is recorded in the same turn is written together.
    await Promise.resolve();
    while (this.#waiting.size > 0 && !signal.aborted) {
      let waitMs = ROUND_MS;
      for (const [key, { occurrence, count, lastAt }] of this.#waiting) {
        this.#waiting.delete(key);
        try {
          await this.#write(key, occurrence, count, lastAt);
          this.#backoff.reset();
        } catch (error) {
          if (signal.aborted) return;
          if (isFinal(error)) {
            log.warn({ err: error, reason: occurrence.reason }, 'event refused by the API server');
            continue;
          }
          this.#putBack(key, occurrence, count, lastAt);
          waitMs = this.#backoff.next();
          break;
        }
      }
      if (this.#waiting.size > 0) await clock.sleep(waitMs, signal).catch(() => undefined);
    }
  }

  #putBack(key: string, occurrence: Occurrence, count: number, lastAt: number): void {
    const newer = this.#waiting.get(key);
    if (newer === undefined) this.#waiting.set(key, { occurrence, count, lastAt });
    else newer.count += count;
  }

  async #write(key: string, occurrence: Occurrence, count: number, lastAt: number): Promise<void> {
    const { client } = this.#options;
    const written = this.#written.get(key);
    if (written !== undefined && lastAt - written.since < WINDOW_MS) {
      const total = written.count + count;
      try {
        const patch = { count: total, lastTimestamp: timestamp(lastAt) };
        await client.patch(EVENTS, written.name, patch, { namespace: written.namespace });
        written.count = total;
        return;
      } catch (error) {
        // The API server forgets events after an hour, or somebody deleted it.
        if (!isNotFound(error)) throw error;
      }
    }
    const event = this.#eventOf(occurrence, count, lastAt);
    await client.create(EVENTS, event, event.metadata.namespace);
    this.#remember(key, { ...event.metadata, count, since: lastAt });
  }

  #remember(key: string, written: Written): void {
    this.#written.delete(key);
    this.#written.set(key, written);
    const oldest = this.#written.keys().next();
    if (this.#written.size > MAX_REMEMBERED && oldest.done !== true) this.#written.delete(oldest.value);
  }

  #eventOf({ object, type, reason, message, annotations }: Occurrence, count: number, at: number) {
    const { component, host } = this.#options;
    const { apiVersion, kind, name, namespace = '', uid } = object;
    return {
      metadata: {
        name: `${name.slice(0, 200)}.${randomBytes(8).toString('hex')}`,
        namespace: namespace === '' ? 'default' : namespace,
        ...(annotations === undefined ? {} : { annotations }),
      },
      involvedObject: { apiVersion, kind, name, ...(namespace === '' ? {} : { namespace }), ...(uid ? { uid } : {}) },
      type,
      reason,
      message: message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE - 3)}...` : message,
      source: { component, host },
      reportingComponent: component,
      reportingInstance: host,
      firstTimestamp: timestamp(at),
      lastTimestamp: timestamp(at),
      count,
    };
  }
}

/** Kubernetes' Time: RFC 3339 in whole seconds. */
function timestamp(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** Whether the same request would be refused for ever; conflicts, overload and the server's own faults pass. */
function isFinal(error: unknown): boolean {
  return error instanceof ApiError && error.status < 500 && ![401, 408, 409, 429].includes(error.status);
}
