import type { Agent } from 'undici';
import { authorization, type Connection } from './connection.ts';
import { type AgentBounds, httpAgent } from './http-agent.ts';
import type { Usage } from './traffic.ts';

/** What every API server answers to everybody without work, so that nothing but its silence makes it late. */
const PATH = '/version';

/** One connection, which lives from one question to the next. */
const POOL = { connections: 1, keepMs: 60_000 };

/** The connection by which a pulse asks whether an API server is there: as old as the watches, so that it dies as they do. */
export class PulseConnection {
  readonly #connection: Connection;
  readonly #bounds: AgentBounds;
  readonly #usage: Usage;
  /** The one that has answered last, and all that are in use. */
  #kept: Agent | undefined;
  readonly #all = new Set<Agent>();

  /** @param usage counts the questions. */
  constructor(connection: Connection, bounds: Pick<AgentBounds, 'connectMs' | 'headMs'>, usage: Usage) {
    this.#connection = connection;
    this.#bounds = { ...bounds, ...POOL };
    this.#usage = usage;
  }

  /** Whatever the answer is, a refusal included: somebody is there. After `signal` the connection is used no more. */
  async ask(fresh: boolean, signal: AbortSignal): Promise<void> {
    const kept = fresh ? undefined : this.#kept;
    const agent = kept ?? httpAgent(this.#connection, this.#bounds);
    this.#all.add(agent);
    // A request whose connection is not made yet does not end by its signal.
    signal.addEventListener('abort', () => this.#drop(agent));
    try {
      await this.#request(agent);
    } catch (error) {
      this.#drop(agent);
      throw error;
    }
    if (this.#kept !== undefined && this.#kept !== agent) this.#drop(this.#kept);
    this.#kept = agent;
  }

  /** Ends what is under way. */
  close(): void {
    for (const agent of this.#all) this.#drop(agent);
  }

  async #request(agent: Agent): Promise<void> {
    const auth = await authorization(this.#connection);
    const headers = { 'user-agent': 'romana', ...(auth === undefined ? {} : { authorization: auth }) };
    const { origin, pathname } = new URL(this.#connection.server);
    const path = pathname.replace(/\/+$/, '') + PATH;
    this.#usage.requests += 1;
    const { body } = await agent.request({ origin, path, method: 'GET', headers });
    for await (const chunk of body as AsyncIterable<Uint8Array>) this.#usage.receivedBytes += chunk.length;
  }

  #drop(agent: Agent): void {
    if (this.#kept === agent) this.#kept = undefined;
    this.#all.delete(agent);
    void agent.destroy();
  }
}
