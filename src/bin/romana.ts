import { Command, CommanderError } from 'commander';

import { keepYoungSmall } from './small-heap.ts';
import { VERSION } from './version.ts';

/** A subcommand: what `--help` says of it, and the file that is loaded only when it is called. */
interface Subcommand {
  readonly name: string;
  readonly summary: string;
  readonly hidden?: boolean;
  /** Makes nodes out of the machine's programs, of which the image has none. */
  readonly checkout?: boolean;
  /** Runs on and logs: its failures are shown with their stack. */
  readonly daemon?: boolean;
  readonly load: () => Promise<{ readonly command: () => Command }>;
}

const SUBCOMMANDS: readonly Subcommand[] = [
  {
    name: 'local',
    checkout: true,
    summary: 'a whole cluster on this machine: up, status, shell, exec, kubeconfig, down',
    load: () => import('./local.ts'),
  },
  {
    name: 'install',
    summary: 'prints the manifests that install Romana on a cluster, for kubectl apply -f -',
    load: () => import('./install.ts'),
  },
  {
    name: 'uninstall',
    summary: 'removes Romana from a cluster and leaves its nodes as they were',
    load: () => import('./uninstall.ts'),
  },
  { name: 'demo', summary: "the founding page's demo, on any cluster with Romana", load: () => import('./demo.ts') },
  { name: 'ip', summary: 'takes an address apart, or puts one together', load: () => import('./ip.ts') },
  {
    name: 'status',
    summary: 'the cluster at a glance: what is wrong and what to do',
    load: () => import('./status.ts'),
  },
  {
    name: 'check',
    summary: 'whether pods reach what they should, tried with pods of its own',
    load: () => import('./check.ts'),
  },
  { name: 'hosts', summary: 'the hosts, their ranges and their use', load: () => import('./hosts.ts') },
  { name: 'tenants', summary: 'the tenants and their use', load: () => import('./tenants.ts') },
  { name: 'segments', summary: 'the segments of tenants and their use', load: () => import('./segments.ts') },
  { name: 'endpoints', summary: "the pods' addresses with what they say", load: () => import('./endpoints.ts') },
  { name: 'policies', summary: 'the policies and what they open', load: () => import('./policies.ts') },
  { name: 'policy', summary: 'who may talk to whom, and why', load: () => import('./policy.ts') },
  {
    name: 'apply',
    summary: 'creates or updates the objects of files, 2016 policies too',
    load: () => import('./apply.ts'),
  },
  { name: 'delete', summary: 'deletes the objects of files, 2016 policies too', load: () => import('./delete.ts') },
  { name: 'exec', summary: 'runs a command in a pod, on any cluster', load: () => import('./exec.ts') },
  {
    name: 'agent',
    summary: 'the daemon of every node',
    daemon: true,
    load: () => {
      keepYoungSmall();
      return import('./agent.ts');
    },
  },
  {
    name: 'controller',
    summary: 'the IPAM service and the route controller',
    daemon: true,
    load: () => import('./controller.ts'),
  },
  {
    name: 'check-pod',
    summary: 'what runs in the pods of a check',
    hidden: true,
    load: () => import('./check-pod.ts'),
  },
  {
    name: 'local-apiserver',
    checkout: true,
    summary: 'the API server of a local cluster',
    hidden: true,
    daemon: true,
    load: () => import('./local-apiserver.ts'),
  },
  {
    name: 'local-runtime',
    checkout: true,
    summary: 'the node runtime of a local cluster',
    hidden: true,
    daemon: true,
    load: () => import('./local-runtime.ts'),
  },
  {
    name: 'local-forward',
    summary: "the way from this machine to a local cluster's API server",
    hidden: true,
    daemon: true,
    load: () => import('./local-forward.ts'),
  },
  {
    name: 'local-registry',
    checkout: true,
    summary: 'the image registry of a local cluster',
    hidden: true,
    daemon: true,
    load: () => import('./local-registry.ts'),
  },
];

/** Status of a call whose words are off. */
const BAD_USAGE = 2;
/** Status of a call that could not be done. */
const FAILED = 1;

const program = new Command('romana')
  .description('A network for Kubernetes without an overlay, for many tenants.')
  .version(VERSION, '-V, --version', 'prints the version')
  .helpCommand(false)
  .exitOverride()
  .showHelpAfterError("(see 'romana --help')");

/** The image holds JavaScript that was made of the checkout's TypeScript. */
const inCheckout = import.meta.filename.endsWith('.ts');
const offered = SUBCOMMANDS.filter(({ checkout }) => checkout !== true || inCheckout);
const called = offered.find((s) => s.name === process.argv[2]);
for (const subcommand of offered) {
  if (subcommand === called) {
    const loaded = (await subcommand.load()).command();
    program.addCommand(loaded.name(subcommand.name).summary(subcommand.summary), {
      hidden: subcommand.hidden === true,
    });
  } else {
    program
      .command(subcommand.name, { hidden: subcommand.hidden === true })
      .summary(subcommand.summary)
      .description(subcommand.summary);
  }
}

/** Makes every level end by an exception, so that this file alone decides on the exit status. */
function overrideExits(command: Command): void {
  command.exitOverride();
  for (const child of command.commands) overrideExits(child);
}
overrideExits(program);

try {
  await program.parseAsync(process.argv);
} catch (error) {
  if (error instanceof CommanderError) {
    const shown =
      error.code === 'commander.helpDisplayed' || error.code === 'commander.help' || error.code === 'commander.version';
    process.exitCode = shown && process.argv.length > 2 ? 0 : BAD_USAGE;
  } else {
    if (called?.daemon === true || isBug(error)) throw error;
    process.stderr.write(`romana${called === undefined ? '' : ` ${called.name}`}: ${(error as Error).message}\n`);
    process.exitCode = FAILED;
  }
}

/** Whether the program itself is at fault: then its stack is worth seeing, else one line says what could not be done. */
function isBug(error: unknown): boolean {
  return (
    !(error instanceof Error) ||
    error instanceof TypeError ||
    error instanceof RangeError ||
    error instanceof ReferenceError ||
    error.name === 'AssertionError'
  );
}
