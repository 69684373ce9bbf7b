import { Counter, type Registry } from '../lib/prometheus.ts';
import type { ReflectorMetrics } from './reflector.ts';

/** Counters of what reflectors are sent, by resource; their names begin with `prefix`. */
export function reflectorMetrics(registry: Registry, prefix: string): ReflectorMetrics {
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> =>
    new Counter({ name: `${prefix}_${name}`, help, labelNames, registers: [registry] });
  const listed = counter('listed_objects_total', 'Objects listed.', ['resource']);
  const events = counter('watch_events_total', 'Watch events received, by type.', ['resource', 'type']);
  const bytes = counter('watch_bytes_total', 'Bytes of watch events, by type.', ['resource', 'type']);
  const failures = counter('watch_failures_total', 'Lists and watches that failed and were tried again.', ['resource']);
  return {
    listed: ({ plural }, objects) => listed.inc({ resource: plural }, objects),
    received: ({ plural }, type, size) => {
      events.inc({ resource: plural, type });
      bytes.inc({ resource: plural, type }, size);
    },
    failed: ({ plural }) => failures.inc({ resource: plural }),
  };
}
