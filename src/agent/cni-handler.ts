import { type CniError, cniError, cniErrorOf, errorJson } from '../cni/errors.ts';
import { type CniRequest, parseRequest } from '../cni/request.ts';
import { chainConflict, chainedResultJson, versionJson } from '../cni/result.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { type Result, err, ok } from '../lib/result.ts';
import type { PodNetwork } from './pod-network.ts';

/** What a CNI call is answered with. */
export interface CniAnswer {
  /** Whether the plugin exits with 1 and `json` is a CNI error. */
  readonly failed: boolean;
  /** For standard output; nothing when undefined. */
  readonly json: object | undefined;
}

/** One CNI call, for metrics. */
export interface CniCall {
  /** 'unknown' for a request that could not be read. */
  readonly command: CniRequest['command'] | 'unknown';
  /** 0 for success, else the CNI error's. */
  readonly code: number;
  readonly seconds: number;
}

/** What a handler stands on. */
export interface CniHandlerOptions {
  readonly network: Pick<PodNetwork, 'add' | 'del' | 'check' | 'gc'>;
  /** Why no ADD at all could succeed now; undefined when they can. An error makes the whole node not ready. */
  readonly status: () => CniError | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly onCall?: (call: CniCall) => void;
}

/** Answers CNI calls as the launcher hands them over. Never throws. */
export class CniHandler {
  readonly #options: CniHandlerOptions;
  /** Why the last STATUS failed; undefined when it did not. */
  #statusReason: string | undefined;

  constructor(options: CniHandlerOptions) {
    this.#options = options;
  }

  /** The answer to one request, which is the whole of what the launcher sent. */
  async handle(bytes: Uint8Array, signal: AbortSignal): Promise<CniAnswer> {
    const { clock, log, onCall } = this.#options;
    const start = clock.now();
    const request = parseRequest(bytes);
    const outcome = request.ok ? await this.#perform(request.value, signal) : err(request.error.error);
    const seconds = (clock.now() - start) / 1_000;
    const command = request.ok ? request.value.command : 'unknown';
    onCall?.({ command, code: outcome.ok ? 0 : outcome.error.code, seconds });
    const call = request.ok ? describe(request.value) : {};
    if (!outcome.ok) {
      const { code, msg: reason, details } = outcome.error;
      // The runtime asks for STATUS again and again: one line says that it fails, and why.
      const repeated = command === 'STATUS' && reason === this.#statusReason;
      if (command === 'STATUS') this.#statusReason = reason;
      if (!repeated) log.warn({ command, ...call, seconds, code, reason, details }, 'CNI call failed');
      return { failed: true, json: errorJson(outcome.error, versionOf(request)) };
    }
    if (command === 'STATUS' && this.#statusReason !== undefined) {
      log.info({ command, was: this.#statusReason }, 'CNI STATUS is good again');
      this.#statusReason = undefined;
    }
    if (command === 'ADD' || command === 'DEL') log.info({ command, ...call, seconds }, 'CNI call done');
    return { failed: false, json: outcome.value };
  }

  async #perform(request: CniRequest, signal: AbortSignal): Promise<Result<object | undefined, CniError>> {
    const { network, status } = this.#options;
    try {
      switch (request.command) {
        case 'ADD': {
          const conflict = chainConflict(request.previous, request.attachment.ifname);
          if (conflict !== undefined) return err(cniError('invalidConfiguration', conflict));
          const added = await network.add(request, signal);
          return added.ok ? ok(chainedResultJson(request.previous, added.value, request.version)) : added;
        }
        case 'DEL':
          return await network.del(request.attachment, signal);
        case 'CHECK':
          return await network.check(request.attachment, request.netns, request.previous);
        case 'GC':
          return await network.gc(request, signal);
        case 'STATUS': {
          const problem = status();
          return problem === undefined ? ok(undefined) : err(problem);
        }
        case 'VERSION':
          break;
      }
      return ok(versionJson(request.cniVersion));
    } catch (error) {
      return err(cniErrorOf(error, `could not perform ${request.command}`));
    }
  }
}

function describe(request: CniRequest): object {
  const attachment = 'attachment' in request ? request.attachment : {};
  return 'pod' in request ? { ...attachment, ...request.pod } : attachment;
}

function versionOf(request: ReturnType<typeof parseRequest>): string | undefined {
  const version = request.ok ? ('version' in request.value ? request.value.version : '') : request.error.cniVersion;
  return version === '' ? undefined : version;
}
