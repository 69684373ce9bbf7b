import { isNotFound, type KubeClient } from '../kube/client.ts';
import { Reflector, type ReflectorMetrics } from '../kube/reflector.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import {
  parsePolicyTrace,
  TRACE_HOST_LABEL,
  traceHostLabel,
  type PolicyTrace,
  type TraceAnswer,
  type TraceQuestion,
} from '../objects/policy-trace.ts';
import { POLICY_TRACES } from '../objects/resources.ts';

/** Between two answers, in milliseconds: pods that start must not wait for people who ask. */
const PAUSE_MS = 50;

/** What answers questions stands on. */
export interface PolicyTracesOptions {
  readonly client: KubeClient;
  readonly node: string;
  /** What the kernel does. */
  readonly trace: (question: TraceQuestion) => TraceAnswer;
  readonly metrics?: ReflectorMetrics;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Answers the questions to this host, PolicyTraces, one after the other. The watch selects them alone: where nobody asks,
 * nothing is sent.
 */
export class PolicyTraces {
  readonly #options: PolicyTracesOptions;
  readonly #questions: Reflector<PolicyTrace>;
  /** Those that this agent has answered, as long as they are there: what it is sent may be older. */
  readonly #answered = new Set<string>();
  #wake: () => void = () => undefined;

  constructor(options: PolicyTracesOptions) {
    this.#options = options;
    this.#questions = new Reflector({
      ...options,
      resource: POLICY_TRACES,
      parse: parsePolicyTrace,
      labelSelector: `${TRACE_HOST_LABEL}=${traceHostLabel(options.node)}`,
      // Of another version than the agent's, the cluster may not have them yet.
      optional: true,
      onChange: () => this.#wake(),
    });
  }

  /** Runs until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    const watching = this.#questions.start(signal);
    while (!signal.aborted) {
      const next = this.#next();
      if (next === undefined) {
        await this.#asked(signal);
        continue;
      }
      this.#answered.add(next.meta.uid);
      await this.#answer(next);
      await this.#options.clock.sleep(PAUSE_MS, signal).catch(() => undefined);
    }
    await watching;
  }

  #next(): PolicyTrace | undefined {
    const present = [...this.#questions.store.values()];
    for (const uid of this.#answered) if (!present.some(({ meta }) => meta.uid === uid)) this.#answered.delete(uid);
    return present.find(
      ({ meta, question, answer }) =>
        question.host === this.#options.node && answer === undefined && !this.#answered.has(meta.uid),
    );
  }

  /** Resolves when questions have changed, or at the signal. */
  async #asked(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#wake = wake;
      signal.addEventListener('abort', wake, { once: true });
    });
  }

  async #answer({ meta, question }: PolicyTrace): Promise<void> {
    const { client, log } = this.#options;
    try {
      const status = this.#trace(question);
      await client.patch(POLICY_TRACES, meta.name, { status }, { subresource: 'status' });
    } catch (error) {
      // Who asked has gone meanwhile, or sees that there is no answer.
      if (!isNotFound(error)) log.warn({ err: error, trace: meta.name }, 'could not answer what the kernel does');
    }
  }

  #trace(question: TraceQuestion): TraceAnswer {
    try {
      return this.#options.trace(question);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.#options.log.warn({ err: error, question }, 'could not find out what the kernel does');
      return { verdict: 'unknown', message, path: [] };
    }
  }
}
