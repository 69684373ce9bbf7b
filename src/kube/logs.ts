import { PODS } from '../objects/resources.ts';
import type { HttpKubeClient } from './http-client.ts';
import { objectPath, queryText } from './paths.ts';

/** Which log, and how much of it. */
export interface LogOptions {
  readonly namespace: string;
  readonly pod: string;
  /** The pod's only one when absent. */
  readonly container?: string | undefined;
  /** Goes on with what is written from now on, until the container ends. */
  readonly follow?: boolean | undefined;
  /** Begins with so many last lines. */
  readonly tailLines?: number | undefined;
  /** Of the container before its last restart. */
  readonly previous?: boolean | undefined;
  /** Puts the time (RFC 3339) before each line. */
  readonly timestamps?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The log of a container as it comes, in pieces of bytes that need not be lines. */
export function podLogs(client: Pick<HttpKubeClient, 'stream'>, o: LogOptions): AsyncIterable<Uint8Array> {
  const query = queryText({
    container: o.container,
    follow: o.follow === true ? true : undefined,
    tailLines: o.tailLines,
    previous: o.previous === true ? true : undefined,
    timestamps: o.timestamps === true ? true : undefined,
  });
  return client.stream(objectPath(PODS, o.pod, o.namespace, 'log') + query, o.signal);
}
