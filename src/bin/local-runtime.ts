import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

import { Command } from 'commander';

import { HttpKubeClient } from '../kube/http-client.ts';
import { systemClock } from '../lib/clock.ts';
import { parseOwnKubeconfig } from '../local/pki.ts';
import { runRuntime } from '../local/runtime/run-runtime.ts';
import { startDaemon } from './daemon.ts';

interface Options {
  readonly node: string;
  readonly kubeconfig: string;
  readonly address: readonly string[];
  readonly controlPlane?: true;
  readonly after?: string;
  readonly bootId: string;
  readonly nginx?: string;
  readonly logLevel: string;
}

const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];

/** `romana local-runtime`: the node runtime of a local cluster. */
export function command(): Command {
  return new Command('local-runtime')
    .description('Runs the pods of a node of a local cluster.')
    .requiredOption('--node <name>', "name of this host's Node")
    .requiredOption('--kubeconfig <file>', 'made by romana local up')
    .requiredOption('--address <address>', "the Node's InternalIP, once a family", collect, [])
    .option('--control-plane', 'taints the Node so that pods are scheduled elsewhere')
    .option('--after <node>', 'registers when this Node has, so that host ids follow the order')
    .requiredOption('--boot-id <file>', 'holds another text at each boot of the node')
    .option('--nginx <directory>', "where Debian's nginx is unpacked")
    .option('--log-level <level>', 'debug, info, warn or error', 'info')
    .action(async (options: Options) => {
      const { log, signal } = startDaemon('runtime', options.logLevel);
      const { connection, token } = parseOwnKubeconfig(readFileSync(options.kubeconfig, 'utf8'));
      const client = new HttpKubeClient(connection);
      const leave = new AbortController();
      // As inits are told that the power is about to fail.
      process.once('SIGPWR', () => {
        log.info({ signal: 'SIGPWR' }, 'ends all pods, since the node goes off');
        leave.abort();
      });
      await runRuntime({
        node: options.node,
        addresses: options.address,
        controlPlane: options.controlPlane === true,
        after: options.after,
        bootId: readFileSync(options.bootId, 'utf8').trim(),
        client,
        token,
        nginx: options.nginx,
        checkout: resolve(import.meta.dirname, '../..'),
        path: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin',
        clock: systemClock,
        log,
        signal,
        leave: leave.signal,
      });
      await client.close();
      // A CNI call that is under way ends by itself; nothing here waits for it.
      process.exit(0);
    });
}
