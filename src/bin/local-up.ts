import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { Command, Option } from 'commander';

import { clusterPlans } from '../addr/cluster-plans.ts';
import { formatPlan, parsePlan, type Plan } from '../addr/plan.ts';
import {
  BASE_DIRECTORIES,
  type ClusterKind,
  type ClusterLayout,
  clusterLayout,
  EMBEDDED,
  parseClusterName,
  parseMinions,
} from '../local/cluster-layout.ts';
import { type ClusterState, readState } from '../local/cluster-state.ts';
import { embedded } from '../local/embedded.ts';
import { networkObject } from '../local/install-objects.ts';
import { kubernetes, recordedParts } from '../local/kubernetes/kubernetes.ts';
import { PROXY_MODES, type ProxyMode } from '../local/kubernetes/networking.ts';
import { programsFolder, providePrograms } from '../local/kubernetes/programs.ts';
import { servicesOf } from '../local/services.ts';
import { type Making, up } from '../local/up.ts';
import {
  checked,
  CHECKOUT,
  connectTo,
  DEFAULT_NAME,
  guarded,
  interruptible,
  locked,
  needRoot,
  UsageError,
} from './local-call.ts';
import { localInstallation } from './local-installation.ts';

const DEFAULT_MINIONS = 2;
/** How long all nodes may take to be Ready, in milliseconds. */
const READY_MS = { embedded: 60_000, kubernetes: 180_000 } as const;

/** Who is told what is under way, and what ends it. */
interface UnderWay {
  readonly progress: (step: string) => void;
  readonly signal: AbortSignal;
}

interface UpWords {
  readonly name: string;
  readonly minions?: string;
  readonly plan: readonly string[];
  readonly kubernetes?: true;
  readonly programs?: string;
  readonly kubeProxy?: ProxyMode;
  readonly romana: boolean;
}

/** `romana local up`. */
export function upCommand(): Command {
  return new Command('up')
    .description('Brings a cluster up; boots nodes of it that are off.')
    .option('--name <name>', 'name of the cluster', DEFAULT_NAME)
    .option('--minions <number>', 'minions beside the master, 1 to 4')
    .option(
      '--plan <plan>',
      'address plan, CIDR:HOST,TENANT,SEGMENT,ENDPOINT bits, once a family (10.0.0.0/8:8,4,4,8 and fd00:10::/64:16,16,16,16)',
      (value: string, before: readonly string[]) => [...before, value],
      [],
    )
    .option('--kubernetes', 'a real Kubernetes instead of the embedded one; one --plan makes it single-stack')
    .option('--programs <directory>', "Kubernetes' programs; what is missing there is built, where Go is")
    .addOption(new Option('--kube-proxy <mode>', "kube-proxy's mode (default: iptables)").choices(PROXY_MODES))
    .option('--no-romana', 'Kubernetes without a network: nodes stay NotReady until you install one')
    .action((options: UpWords) => guarded(() => runUp(options)));
}

async function runUp(options: UpWords): Promise<number> {
  const name = checked(parseClusterName(options.name));
  const givenPlans = checked(clusterPlans(options.plan));
  needRoot();
  const recorded = readState(clusterLayout(name, 1));
  const kind = kindOf(options, recorded);
  const plans = givenPlans.filter(({ family }) => kind.families.includes(family));
  // A repeated `up` without a number takes the cluster as it is.
  const minions =
    options.minions === undefined
      ? (recorded?.minions.length ?? DEFAULT_MINIONS)
      : checked(parseMinions(options.minions));
  const planTexts = options.plan.length === 0 && recorded?.complete === true ? recorded.plans : plans.map(formatPlan);
  const layout = clusterLayout(name, minions, BASE_DIRECTORIES, kind);
  const { signal, seconds } = interruptible();
  const under: UnderWay = {
    progress: (step) => void process.stderr.write(`[${seconds()}] ${step}\n`),
    signal,
  };
  const { progress } = under;
  const outcome = await locked(layout, async () =>
    up({
      layout,
      plans: planTexts,
      making: await makingOf(options, kind, plans, under),
      checkout: CHECKOUT,
      connect: connectTo,
      owner: { uid: Number(process.env['SUDO_UID'] ?? 0), gid: Number(process.env['SUDO_GID'] ?? 0) },
      progress,
      signal,
      readyMs: READY_MS[kind.flavour],
    }),
  );
  const what = `cluster '${name}': master and ${minions} ${minions === 1 ? 'minion' : 'minions'}`;
  const done = { made: 'up', booted: 'up again', already: 'was up already' }[outcome];
  process.stdout.write(`${what}, ${done}${outcome === 'already' ? '' : ` in ${seconds()}`}\n`);
  return 0;
}

/** What is asked for; a repeated `up` without more words takes the cluster as it is. */
function kindOf(options: UpWords, recorded: ClusterState | undefined): ClusterKind {
  const wordsOfKubernetes = ['programs', 'kubeProxy'].filter((word) => Object.hasOwn(options, word));
  if (options.kubernetes !== true && (wordsOfKubernetes.length > 0 || !options.romana)) {
    throw new UsageError('--programs, --kube-proxy and --no-romana go with --kubernetes');
  }
  const asked = options.kubernetes === true ? 'kubernetes' : recorded?.flavour;
  if (recorded?.complete === true && recorded.flavour === asked && options.plan.length === 0) return recorded;
  if (options.kubernetes !== true) return EMBEDDED;
  const given = new Set(options.plan.map((text) => checked(parsePlan(text)).family));
  const families = EMBEDDED.families.filter((family) => given.size === 0 || given.has(family));
  return { flavour: 'kubernetes', families };
}

async function makingOf(options: UpWords, kind: ClusterKind, plans: readonly Plan[], under: UnderWay): Promise<Making> {
  if (kind.flavour === 'embedded') return makingOfEmbedded(plans);
  const proxy = options.kubeProxy ?? 'iptables';
  const programs = programsFolder(process.env, options.programs);
  return kubernetes({
    checkout: CHECKOUT,
    programs,
    proxy,
    providePrograms: () => providePrograms({ folder: programs, checkout: CHECKOUT, env: process.env, ...under }),
    romana: options.romana ? () => localInstallation({ ...under, kind, proxy, plans }) : undefined,
  });
}

async function makingOfEmbedded(plans: readonly Plan[]): Promise<Making> {
  return embedded({
    network: networkObject(plans),
    namespaces: await installedNamespaces(),
    services: (node) => servicesOf(node, CHECKOUT, findNginx()),
    cniPlugins: findCniPlugins(),
  });
}

/** As a cluster that is there was made. */
export async function makingOfRecorded(layout: ClusterLayout): Promise<Making> {
  return layout.flavour === 'embedded' ? makingOfEmbedded([]) : kubernetes(recordedParts(layout, CHECKOUT));
}

/** The tenants that every installation brings. */
async function installedNamespaces(): Promise<readonly object[]> {
  const { parse } = await import('yaml');
  const directory = join(CHECKOUT, 'deploy/demo');
  return readdirSync(directory)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => parse(readFileSync(join(directory, file), 'utf8')) as { readonly kind?: unknown })
    .filter((object) => object.kind === 'Namespace');
}

/** Debian's CNI plugins, as installed or as the set-up unpacked them. */
function findCniPlugins(): string | undefined {
  const folders = ['/usr/lib/cni', join(CHECKOUT, '.cache/cni-plugins/usr/lib/cni')];
  return folders.find((folder) => existsSync(join(folder, 'portmap')));
}

/** Debian's nginx: the set-up's, else the machine's own. */
function findNginx(): string | undefined {
  return [join(CHECKOUT, '.cache/nginx'), '/'].find((directory) => existsSync(join(directory, 'usr/sbin/nginx')));
}
