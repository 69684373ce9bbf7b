import { readdirSync } from 'node:fs';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { KubeClient } from '../../kube/client.ts';
import { Reflector } from '../../kube/reflector.ts';
import { PODS } from '../../objects/resources.ts';
import { apiReports } from './api-reports.ts';
import { processPlugin } from '../../lib/cni-plugin.ts';
import { CniRunner } from './cni-runner.ts';
import { startKubeletServer } from './kubelet-server.ts';
import { Limiter } from './limiter.ts';
import { MachineDriver } from './machine-driver.ts';
import { NodeKeeper } from './node-keeper.ts';
import { PodManager } from './pod-manager.ts';
import { fileRecords, RECORDS_DIRECTORY, RUNTIME_DIRECTORY } from './pod-record.ts';
import { parsePodSpec, type PodSpec } from './pod-spec.ts';

/** What the node runtime needs. */
export interface RuntimeOptions {
  readonly node: string;
  readonly addresses: readonly string[];
  readonly controlPlane: boolean;
  /** The Node that registers before this one. */
  readonly after: string | undefined;
  /** Another one at each boot of the node. */
  readonly bootId: string;
  readonly client: KubeClient;
  /** The parts' bearer token, asked of whoever wants logs and exec. */
  readonly token: string;
  /** Directory with Debian's nginx; undefined where there is none. */
  readonly nginx: string | undefined;
  readonly checkout: string;
  /** PATH of the programs that it calls. */
  readonly path: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Aborted when the node goes off: all pods end, and then the runtime. */
  readonly leave: AbortSignal;
}

/** Sandboxes and containers that are being made at once: enough that one that waits for its ids holds nobody up. */
const MAX_STARTING = 32;
const KUBELET_PORT = 10_250;
const LOG_DIRECTORY = '/var/log/pods';

/**
 * Runs the pods of a node until `signal` is aborted. Pods outlive it, the next one takes them over; at `leave` they end
 * before it does.
 *
 * @throws Error when it can't start.
 */
export async function runRuntime(options: RuntimeOptions): Promise<void> {
  const { node, addresses, client, clock, log, path, leave } = options;
  const left = new AbortController();
  const signal = AbortSignal.any([options.signal, left.signal]);
  const cni = new CniRunner({
    configDirectory: '/etc/cni/net.d',
    pluginDirectories: ['/opt/cni/bin'],
    // What it keeps of attachments ends with them: at a boot of the node there are none.
    cacheDirectory: `${RUNTIME_DIRECTORY}/cni`,
    call: processPlugin({ PATH: path }),
  });
  const driver = new MachineDriver({
    cni,
    directory: RUNTIME_DIRECTORY,
    netnsDirectory: '/var/run/netns',
    logDirectory: LOG_DIRECTORY,
    checkout: options.checkout,
    path,
    clock,
  });
  await driver.prepare();
  const records = fileRecords(RECORDS_DIRECTORY);
  const server = await startKubeletServer({
    port: KUBELET_PORT,
    token: options.token,
    pods: () => records.load(),
    logDirectory: LOG_DIRECTORY,
    path,
    clock,
  });
  const manager = new PodManager({
    driver,
    images: {
      nginx: options.nginx,
      nginxLibraries: options.nginx === undefined ? [] : libraries(options.nginx),
      checkout: options.checkout,
    },
    records,
    reports: apiReports(client, node, clock, log),
    limiter: new Limiter(MAX_STARTING),
    hostAddresses: addresses,
    clock,
    log,
  });
  const pods: Reflector<PodSpec> = new Reflector({
    client,
    resource: PODS,
    fieldSelector: `spec.nodeName=${node}`,
    parse: parsePodSpec,
    onChange: () => manager.sync(pods.store.values()),
    clock,
    log,
  });
  const identity = {
    name: node,
    addresses,
    controlPlane: options.controlPlane,
    after: options.after,
    bootId: options.bootId,
    port: KUBELET_PORT,
  };
  const keeper = new NodeKeeper({ node: identity, client, cni, clock, log, leave });
  log.info({ node, port: KUBELET_PORT }, 'node runtime started');
  // Also without any change: pods may have gone while no runtime was here.
  void pods.whenSynced(signal).then(
    () => manager.sync(pods.store.values()),
    () => undefined,
  );
  leave.addEventListener('abort', () => void manager.leave().finally(() => left.abort()));
  await Promise.all([pods.start(signal), keeper.run(signal)]);
  server.close();
}

/** Where below `nginx` shared libraries may be that were unpacked with it. */
function libraries(nginx: string): readonly string[] {
  try {
    return readdirSync(`${nginx}/usr/lib`)
      .filter((name) => name.endsWith('-linux-gnu'))
      .map((name) => `usr/lib/${name}`);
  } catch {
    return [];
  }
}
