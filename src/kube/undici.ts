import { createRequire } from 'node:module';
import type * as Undici from 'undici';

/** What requests to an API server take of undici. */
type Parts = Pick<typeof Undici, 'Agent' | 'buildConnector'>;

let loaded: Parts | undefined;

/**
 * A pool of connections and what makes them, loaded at the first call, which commands that ask no server should not pay.
 * The package as a whole would load fetch, WebSocket, caches and mocks too, which we don't use: 9 MiB of memory.
 */
export function undici(): Parts {
  if (loaded !== undefined) return loaded;
  const load = createRequire(import.meta.url);
  const Dispatcher = load('undici/lib/dispatcher/dispatcher.js') as typeof Undici.Dispatcher;
  // As the package does it with all its ways to ask.
  Object.assign(Dispatcher.prototype, { request: load('undici/lib/api/api-request.js') as unknown });
  loaded = {
    Agent: load('undici/lib/dispatcher/agent.js') as typeof Undici.Agent,
    buildConnector: load('undici/lib/core/connect.js') as typeof Undici.buildConnector,
  };
  return loaded;
}
