import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';

import { Command } from 'commander';

import { Controller } from '../controller/controller.ts';
import { EventRecorder } from '../kube/events.ts';
import { LeaderElection } from '../kube/leader.ts';
import { trafficMetrics } from '../kube/traffic.ts';
import { buildInfo } from '../lib/build-info.ts';
import { systemClock } from '../lib/clock.ts';
import { Registry } from '../lib/prometheus.ts';
import { startHealthServer } from '../lib/health-server.ts';
import type { JsonObject } from '../objects/field.ts';
import { formatFieldErrors } from '../objects/meta.ts';
import { networkToJson, parseNetwork } from '../objects/network.ts';
import { clusterOptions } from './cluster-options.ts';
import { connect } from './cluster.ts';
import { CONTROLLER_LEASE } from './controller-lease.ts';
import { healthAddress, healthOptions, type HealthWords, startDaemon } from './daemon.ts';
import { VERSION } from './version.ts';

interface Options extends HealthWords {
  readonly node?: string;
  readonly leaseNamespace: string;
  readonly network?: string;
  readonly kubeconfig?: string;
  readonly logLevel: string;
}

/** `romana controller`: IPAM service and route controller. */
export function command(): Command {
  return healthOptions(clusterOptions(new Command('controller')), 9672)
    .description(
      'The IPAM service and the route controller: gives ids to hosts, tenants and segments. Any number may run; one acts.',
    )
    .option('--node <name>', 'name of the Node that it runs on, for its identity')
    .option('--lease-namespace <name>', 'where the Lease is by which one of them acts', 'kube-system')
    .option('--network <file>', 'the Network to make when the cluster has none, YAML')
    .option('--log-level <level>', 'debug, info, warn or error', 'info')
    .action(async (options: Options) => {
      const address = healthAddress(options);
      const { log, signal } = startDaemon('controller', options.logLevel);
      const { client } = await connect(options);
      const registry = new Registry();
      buildInfo(registry, VERSION);
      trafficMetrics(registry, 'romana_controller', client.traffic);
      const identity = `${options.node ?? hostname()}_${randomUUID()}`;
      const clock = systemClock;
      const election = new LeaderElection({
        client,
        name: CONTROLLER_LEASE.name,
        namespace: options.leaseNamespace,
        identity,
        clock,
        log,
      });
      const host = options.node ?? hostname();
      const events = new EventRecorder({ client, clock, log, signal, component: 'romana-controller', host });
      const controller = new Controller({
        client,
        clock,
        log,
        registry,
        firstNetwork: await readNetwork(options.network),
        lead: (work, until) => election.run(until, work),
        warn: ({ about, reason, message }) => {
          events.record({
            object: { apiVersion: aboutVersion(about.kind), ...about },
            type: 'Warning',
            reason,
            message,
          });
          return Promise.resolve();
        },
      });
      const health = await startHealthServer({
        ...address,
        metrics: () => registry.metrics(),
        notReady: () => controller.notReady(),
      });
      try {
        await controller.run(signal);
      } finally {
        await health.close();
        await client.close();
      }
    });
}

/** @throws Error when the file holds no Network that can be. */
async function readNetwork(file: string | undefined): Promise<JsonObject | undefined> {
  if (file === undefined) return undefined;
  const { parse } = await import('yaml');
  const json: unknown = parse(await readFile(file, 'utf8'));
  const network = parseNetwork(json);
  if (!network.ok) throw new Error(`--network ${file}: ${formatFieldErrors(network.error)}`);
  return networkToJson(network.value);
}

function aboutVersion(kind: 'Namespace' | 'Node' | 'Network'): string {
  return kind === 'Network' ? 'romana.io/v1' : 'v1';
}
