import { Gauge, type Registry } from './prometheus.ts';

/** Adds `romana_build_info`, which is always 1 and tells the version by its label, as Prometheus' own exporters do. */
export function buildInfo(registry: Registry, version: string): void {
  new Gauge({
    name: 'romana_build_info',
    help: 'Which version runs: always 1.',
    labelNames: ['version'],
    registers: [registry],
  }).set({ version }, 1);
}
