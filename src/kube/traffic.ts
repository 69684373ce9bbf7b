import { Counter, type Registry } from '../lib/prometheus.ts';

/** What requests of one kind came to. */
export interface Usage {
  /** In lower case: `list`, `version`, `watch`, `get`, `create`, `replace`, `patch`, `delete`; `raw` for what has only a path, `pulse`. */
  readonly verb: string;
  /** The plural of the kind; '' where only a path was asked for. */
  readonly resource: string;
  requests: number;
  /** Of the bodies of all answers. */
  receivedBytes: number;
}

/** What a client has asked of its API server and been sent, by verb and resource. */
export class Traffic {
  readonly #usage = new Map<string, Usage>();

  /** The counts of one kind of request, which whoever makes one adds to. */
  of(verb: string, resource = ''): Usage {
    const key = `${verb} ${resource}`;
    const known = this.#usage.get(key);
    if (known !== undefined) return known;
    const usage: Usage = { verb, resource, requests: 0, receivedBytes: 0 };
    this.#usage.set(key, usage);
    return usage;
  }

  /** All of them. */
  all(): Iterable<Readonly<Usage>> {
    return this.#usage.values();
  }
}

/** Shows `traffic` as metrics whose names begin with `prefix`. */
export function trafficMetrics(registry: Registry, prefix: string, traffic: Traffic): void {
  const counter = (name: string, help: string, of: (usage: Usage) => number): void => {
    const metric = new Counter({
      name: `${prefix}_${name}`,
      help,
      labelNames: ['verb', 'resource'],
      registers: [],
      collect() {
        this.reset();
        for (const usage of traffic.all()) this.inc({ verb: usage.verb, resource: usage.resource }, of(usage));
      },
    });
    registry.registerMetric(metric);
  };
  counter('api_requests_total', 'Requests to the API server.', ({ requests }) => requests);
  counter('api_received_bytes_total', 'Bytes that the API server sent.', ({ receivedBytes }) => receivedBytes);
}
