import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { Gauge, Registry } from '../src/lib/prometheus.ts';
import { parse } from 'yaml';
import { AgentMetrics } from '../src/agent/metrics.ts';
import { ControllerMetrics } from '../src/controller/metrics.ts';
import { Traffic, trafficMetrics } from '../src/kube/traffic.ts';
import { buildInfo } from '../src/lib/build-info.ts';

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description?: string };
}

const FILE = resolve(import.meta.dirname, '../deploy/monitoring/alerts.yaml');
const RULES = (parse(readFileSync(FILE, 'utf8')) as { groups: { rules: Rule[] }[] }).groups.flatMap((g) => g.rules);

/** The metrics of agent and controller by name, as Prometheus stores them, with their labels. */
function known(): ReadonlyMap<string, readonly string[]> {
  const controller = new Registry();
  // The state is looked at when metrics are scraped, which nobody does here.
  const metrics = new ControllerMetrics(controller, () => {
    throw new Error('not scraped');
  });
  assert.ok(metrics.leading instanceof Gauge);
  const agent = new AgentMetrics().registry;
  trafficMetrics(controller, 'romana_controller', new Traffic());
  trafficMetrics(agent, 'romana_agent', new Traffic());
  buildInfo(agent, '1');
  const found = [controller, agent].flatMap((registry) => registry.getMetricsAsArray());
  return new Map(
    found.flatMap((metric) => {
      const { name, labelNames, type } = metric as unknown as { name: string; labelNames: string[]; type?: unknown };
      const names =
        'buckets' in metric || type === 'histogram' ? ['_bucket', '_sum', '_count'].map((s) => name + s) : [name];
      return names.map((one): [string, readonly string[]] => [one, labelNames]);
    }),
  );
}

test('alert rules are of metrics and labels that agents and controllers have', () => {
  const metrics = known();
  const wrong = RULES.flatMap(({ alert, expr }) =>
    [...expr.matchAll(/\b(romana_\w+)(?:\{([^}]*)\})?/g)].flatMap(([, name = '', selectors = '']) => {
      const labels = metrics.get(name);
      if (labels === undefined) return [`${alert}: there is no ${name}`];
      const used = [...selectors.matchAll(/(\w+)\s*(?:=|!=|=~|!~)/g)].map(([, label = '']) => label);
      return used.filter((label) => !labels.includes(label)).map((label) => `${alert}: ${name} has no label ${label}`);
    }),
  );
  assert.deepEqual(wrong, []);
});

test('alert rules have a name of their own, a severity and a summary', () => {
  assert.ok(RULES.length > 10);
  assert.equal(new Set(RULES.map(({ alert }) => alert)).size, RULES.length);
  for (const { alert, expr, labels, annotations } of RULES) {
    assert.match(alert, /^Romana[A-Z]\w+$/);
    assert.match(labels.severity, /^(?:info|warning|critical)$/, alert);
    assert.notEqual(annotations.summary, '', alert);
    assert.match(expr, /romana_|up\{job="romana-/, alert);
  }
});
