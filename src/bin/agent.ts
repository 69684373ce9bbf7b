import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

import { Command } from 'commander';

import { runAgent } from '../agent/agent.ts';
import { COLLECT_MS } from '../agent/collection.ts';
import { NFLOG_GROUP } from '../agent/denied-listener.ts';
import { giveBackMemory } from '../agent/give-back.ts';
import { RememberedSysctls } from '../agent/remembered-sysctls.ts';
import { removeNetwork } from '../agent/removal.ts';
import { type Chain, parseChain } from '../cni/chain.ts';
import { giveBackFreed } from '../kernel/libc.ts';
import { PROC_SYS, Sysctls } from '../kernel/sysctl.ts';
import { systemClock } from '../lib/clock.ts';
import { clusterOptions } from './cluster-options.ts';
import { connect } from './cluster.ts';
import { healthAddress, healthOptions, type HealthWords, startDaemon } from './daemon.ts';
import { letYoungGrow } from './small-heap.ts';
import { VERSION } from './version.ts';

const CHECKOUT = resolve(import.meta.dirname, '../..');

/** What an agent has on its host. */
const PATHS = {
  directory: '/run/romana',
  socket: '/run/romana/agent.sock',
  leases: '/run/romana/leases',
  known: '/run/romana/known',
  sysctls: '/run/romana/sysctls.json',
  installation: { pluginDirectory: '/opt/cni/bin', configurationDirectory: '/etc/cni/net.d' },
} as const;

interface Options extends HealthWords {
  readonly node: string;
  readonly kubeconfig?: string;
  readonly launcher: string;
  readonly cniChain?: string;
  readonly collectEvery: string;
  readonly nflogGroup: string;
  readonly sysctls: string;
  readonly uninstall?: boolean;
  readonly forceAfter?: string;
  readonly logLevel: string;
}

/** `romana agent`: the daemon of every node. */
export function command(): Command {
  return healthOptions(clusterOptions(new Command('agent')), 9671)
    .description(
      'The daemon of every node: connects pods, keeps routes and policy in the kernel. Runs as root, in the network namespace of the host.',
    )
    .requiredOption('--node <name>', "name of this host's Node")
    .option('--launcher <file>', 'the CNI launcher to put into /opt/cni/bin', `${CHECKOUT}/.cache/launcher/romana`)
    .option(
      '--cni-chain <list>',
      'plugins of the network in order, as in a CNI configuration list: JSON, or a file that holds it; ' +
        'portmap and bandwidth without, where they are in /opt/cni/bin',
    )
    .option(
      '--collect-every <seconds>',
      'how often it looks for attachments whose pods are gone',
      `${COLLECT_MS / 1_000}`,
    )
    .option(
      '--nflog-group <number>',
      'by which the kernel tells of denied packets, 0 to 65535, which no other program on the host may listen to; none: it does not',
      `${NFLOG_GROUP}`,
    )
    .option(
      '--sysctls <folder>',
      "where it writes the kernel's sysctls: /proc/sys is read-only in containers",
      PROC_SYS,
    )
    .option(
      '--uninstall',
      'removes what agents have made on this host as soon as no pod is connected; is ready when all is gone',
    )
    .option('--force-after <seconds>', 'with --uninstall: after so long it is removed although pods are connected')
    .option('--log-level <level>', 'debug, info, warn or error', 'info')
    .action(async (options: Options) => {
      const chain = readChain(options.cniChain);
      const nflogGroup = readGroup(options.nflogGroup);
      const health = healthAddress(options);
      const collectMs = readSeconds('--collect-every', options.collectEvery) * 1_000;
      const { log, signal } = startDaemon('agent', options.logLevel);
      const hostSysctls = new RememberedSysctls(options.sysctls, PATHS.sysctls);
      if (options.uninstall === true) {
        const { forceAfter: words } = options;
        const forceAfterMs = words === undefined ? undefined : readSeconds('--force-after', words) * 1_000;
        return removeNetwork({ ...PATHS, sysctls: hostSysctls, forceAfterMs, health, clock: systemClock, log, signal });
      }
      const { client } = await connect(options);
      void giveBackMemory(afterStart, { clock: systemClock, signal });
      await runAgent({
        client,
        traffic: client.traffic,
        node: options.node,
        ...PATHS,
        installation: { ...PATHS.installation, launcher: options.launcher },
        ...(chain === undefined ? {} : { chain }),
        collectMs,
        nflogGroup,
        sysctls: new Sysctls(options.sysctls),
        hostSysctls,
        health,
        version: VERSION,
        clock: systemClock,
        log,
        signal,
      });
      await client.close();
    });
}

/** What a start alone took is given back, and what it must not take may be taken from now on. */
function afterStart(): Promise<void> {
  letYoungGrow();
  return giveBackFreed();
}

/** @throws Error when it is no list of plugins. */
function readChain(words: string | undefined): Chain | undefined {
  if (words === undefined) return undefined;
  const chain = parseChain(words.trimStart().startsWith('[') ? words : readFileSync(words, 'utf8'));
  if (!chain.ok) throw new Error(`--cni-chain: ${chain.error}`);
  return chain.value;
}

/** @throws Error when it is no group of NFLOG. */
function readGroup(words: string): number | undefined {
  if (words === 'none') return undefined;
  const group = Number(words);
  if (/^\d{1,5}$/.test(words) && group <= 0xffff) return group;
  throw new Error(`--nflog-group must be a number from 0 to 65535, or none, found ${JSON.stringify(words)}`);
}

/** @throws Error when it is no time to wait. */
function readSeconds(option: string, words: string): number {
  const seconds = Number(words);
  if (seconds >= 0.1 && seconds <= 86_400) return seconds;
  throw new Error(`${option} must be a number of seconds from 0.1 to 86400, found ${JSON.stringify(words)}`);
}
