import { Counter, Gauge, Histogram, type Registry } from '../lib/prometheus.ts';
import { reflectorMetrics } from '../kube/reflector-metrics.ts';
import type { ReflectorMetrics } from '../kube/reflector.ts';
import type { Applied } from './apply.ts';
import { networkStatus } from './assign.ts';
import { pooledPlans } from '../objects/id-space.ts';
import { maxSegment } from '../addr/plan.ts';
import type { ClusterState } from './state.ts';

const SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/** What a controller counts; names begin with `romana_controller_`. */
export class ControllerMetrics {
  readonly leading: Gauge;
  readonly roundSeconds: Histogram;
  readonly errors: Counter;
  readonly reflector: ReflectorMetrics;
  readonly #actions: Counter<'kind'>;
  readonly #outdated: Counter<'kind'>;

  /** @param state what is known at the time of a scrape. */
  constructor(registry: Registry, state: () => ClusterState) {
    const registers = [registry];
    this.leading = new Gauge({
      name: name('leading'),
      help: '1 on the controller that acts, 0 on the others.',
      registers,
    });
    this.roundSeconds = new Histogram({
      name: name('round_seconds'),
      help: 'Time of one round: what has to be written, and writing it.',
      buckets: SECONDS,
      registers,
    });
    this.errors = new Counter({ name: name('errors_total'), help: 'Rounds that failed and were repeated.', registers });
    this.#actions = new Counter({
      name: name('writes_total'),
      help: 'Writes to the API server, by kind.',
      labelNames: ['kind'],
      registers,
    });
    this.#outdated = new Counter({
      name: name('outdated_writes_total'),
      help: 'Writes that the API server refused because something had changed, by kind.',
      labelNames: ['kind'],
      registers,
    });
    this.reflector = reflectorMetrics(registry, 'romana_controller');
    registerState(registry, state);
  }

  /** Counts conditions of policies. */
  toldPolicies(written: number): void {
    if (written > 0) this.#actions.inc({ kind: 'set-policy-condition' }, written);
  }

  /** Counts what was written. */
  applied({ done, outdated }: Applied): void {
    for (const { kind } of done) this.#actions.inc({ kind });
    for (const { kind } of outdated) this.#outdated.inc({ kind });
  }
}

function name(text: string): string {
  return `romana_controller_${text}`;
}

function registerState(registry: Registry, state: () => ClusterState): void {
  const gauge = (metric: string, help: string, measure: (state: ClusterState) => number): Gauge =>
    new Gauge({
      name: name(metric),
      help,
      registers: [registry],
      collect() {
        this.set(measure(state()));
      },
    });
  gauge('hosts', 'Hosts.', ({ hosts }) => hosts.size);
  gauge('tenants', 'Tenants: namespaces that have or had pods.', ({ tenants }) => tenants.size);
  gauge('id_claims', 'Claims of host and tenant ids.', ({ claims }) => claims.size);
  gauge(
    'id_claims_released',
    'Claims whose holder is gone and whose id waits until no agent means it any more.',
    ({ claims }) => [...claims.values()].filter(({ released }) => released).length,
  );
  gauge('host_ids_left', 'How many more hosts can join.', (known) =>
    known.network === undefined ? 0 : networkStatus(known.network, known).hostIdsLeft,
  );
  const byFamily = (metric: string, help: string, measure: (state: ClusterState) => PerFamily): Gauge =>
    new Gauge({
      name: name(metric),
      help,
      labelNames: ['family'],
      registers: [registry],
      collect() {
        for (const [family, count] of measure(state())) this.set({ family }, count);
      },
    });
  byFamily(
    'pooled_tenants',
    'Tenants whose pods get addresses of the shared pool, by family of addresses.',
    (known) => countPooled(known).tenants,
  );
  byFamily(
    'pooled_segments',
    'Segments, of tenants that are not pooled, whose pods get addresses of the shared pool, by family.',
    (known) => countPooled(known).segments,
  );
}

type PerFamily = ReadonlyMap<string, number>;

function countPooled({ network, tenants }: ClusterState): { tenants: PerFamily; segments: PerFamily } {
  const counts = { tenants: new Map<string, number>(), segments: new Map<string, number>() };
  const known = network?.network;
  for (const plan of known?.plans ?? []) {
    const family = `IPv${plan.family}`;
    let [pooledTenants, pooledSegments] = [0, 0];
    for (const tenant of tenants.values()) {
      if (tenant.id === 0 && !tenant.pooled) continue;
      if (known !== undefined && pooledPlans(known, tenant.id).includes(plan)) pooledTenants++;
      else pooledSegments += tenant.segments.filter(({ id }) => id === 0 || id > maxSegment(plan)).length;
    }
    counts.tenants.set(family, pooledTenants);
    counts.segments.set(family, pooledSegments);
  }
  return counts;
}
