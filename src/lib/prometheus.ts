import { createRequire } from 'node:module';
import type * as Prometheus from 'prom-client';

// The package as a whole would load what we don't use too, its push gateway and counts of clusters of processes among
// it: 3 MiB of memory.
const load = createRequire(import.meta.url);

/** A number that only grows. */
export type Counter<Label extends string = string> = Prometheus.Counter<Label>;
export const Counter = load('prom-client/lib/counter.js') as typeof Prometheus.Counter;
/** A number. */
export type Gauge<Label extends string = string> = Prometheus.Gauge<Label>;
export const Gauge = load('prom-client/lib/gauge.js') as typeof Prometheus.Gauge;
/** How many numbers were at most how large. */
export const Histogram = load('prom-client/lib/histogram.js') as typeof Prometheus.Histogram;
export type Histogram<Label extends string = string> = Prometheus.Histogram<Label>;
/** Metrics that are shown together. */
export type Registry = Prometheus.Registry;
export const Registry = load('prom-client/lib/registry.js') as typeof Prometheus.Registry;
