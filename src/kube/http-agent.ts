import type { Agent } from 'undici';
import { type Connection, tlsOptions } from './connection.ts';
import { undici } from './undici.ts';

/** Bounds of a pool of connections to one server. */
export interface AgentBounds {
  /** TCP and TLS together, in milliseconds. */
  readonly connectMs: number;
  /** From a request to the head of its answer, in milliseconds. */
  readonly headMs: number;
  /** How many connections there may be. */
  readonly connections: number;
  /** How long an idle one is kept, in milliseconds. */
  readonly keepMs: number;
}

/** Ends connections whose other side is gone without a word within about 5 s, by the kernel's keep-alive probes. */
const KEEP_ALIVE = { idleMs: 2_000, intervalMs: 1_000, probes: 3 };

/** A pool of HTTP/1.1 connections. */
export function httpAgent(connection: Connection, bounds: AgentBounds): Agent {
  const { Agent, buildConnector } = undici();
  const connect = buildConnector({ ...tlsOptions(connection), timeout: bounds.connectMs, allowH2: false });
  return new Agent({
    connections: bounds.connections,
    keepAliveTimeout: bounds.keepMs,
    headersTimeout: bounds.headMs,
    connect: (options, callback) =>
      connect(options, (error, socket) => {
        if (error !== null) return callback(error, null);
        socket.setKeepAlive(true, KEEP_ALIVE.idleMs, KEEP_ALIVE.intervalMs, KEEP_ALIVE.probes);
        return callback(null, socket);
      }),
  });
}
