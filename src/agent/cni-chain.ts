import { type Chain, commonVersion, lostBelow, PLUGIN_TYPE, type PluginConfig, STANDARD_CHAIN } from '../cni/chain.ts';
import { conflistText } from '../cni/conflist.ts';
import { CNI_VERSIONS, type CniVersion, NEWEST_VERSION } from '../cni/version.ts';
import { type CallPlugin, findPlugin, processPlugin } from '../lib/cni-plugin.ts';
import type { Log } from '../lib/log.ts';

/** How long a plugin may take to tell its versions, in milliseconds. */
const VERSION_MS = 5_000;

/**
 * The text of the network's configuration with the chain `wanted`, or the standard one, on a node whose plugins are in
 * `directory`.
 */
export async function conflistOf(directory: string, wanted: Chain | undefined, log: Log): Promise<string> {
  const agreed = await agreeOnChain({ wanted, directory, call: processPlugin({}, VERSION_MS), log });
  return conflistText(agreed.chain, agreed.version);
}

/** The chain that the agent shows to the container runtime. */
export interface AgreedChain {
  readonly chain: Chain;
  /** The newest CNI version that all of its plugins speak. */
  readonly version: CniVersion;
}

/** What a chain is agreed on by. */
export interface CniChainOptions {
  /** The operator's; undefined: the standard one, as far as its plugins are on this node. */
  readonly wanted: Chain | undefined;
  /** Where the runtime looks for plugins. */
  readonly directory: string;
  readonly call: CallPlugin;
  readonly log: Log;
}

/**
 * Asks the plugins that are chained with ours for the versions that they speak. One that the operator wants and that
 * cannot be asked stays in the chain: pods fail with its name rather than run without what it is there for.
 */
export async function agreeOnChain({ wanted, directory, call, log }: CniChainOptions): Promise<AgreedChain> {
  const asked = await Promise.all((wanted ?? STANDARD_CHAIN).map((config) => ask(config, directory, call)));
  const there = wanted === undefined ? asked.filter(({ versions }) => versions !== undefined) : asked;
  for (const { config, problem } of asked) {
    if (problem === undefined) continue;
    if (wanted === undefined) log.info({ plugin: config.type, problem }, 'goes without a standard CNI plugin');
    else log.error({ plugin: config.type, problem }, 'no pod can start: a CNI plugin of the chain cannot be used');
  }
  const version = commonVersion(there.flatMap(({ versions }) => (versions === undefined ? [] : [versions])));
  const chain = there.map(({ config }) => config);
  const speak = Object.fromEntries(there.map(({ config, versions }) => [config.type, versions]));
  if (version === undefined) {
    log.error(
      { speak, ours: CNI_VERSIONS },
      'no pod can start: the CNI plugins of the chain have no version in common',
    );
  } else if (version !== NEWEST_VERSION) {
    const oldest = there.flatMap(({ config, versions }) =>
      versions?.includes(NEWEST_VERSION) === false ? [config.type] : [],
    );
    log.warn(
      { version, because: oldest, lost: lostBelow(version) },
      `the network is of CNI ${version} only, since a chained plugin speaks none newer`,
    );
  }
  return { chain, version: version ?? NEWEST_VERSION };
}

interface Asked {
  readonly config: PluginConfig;
  /** Undefined when the plugin could not be asked. */
  readonly versions: readonly unknown[] | undefined;
  readonly problem?: string;
}

async function ask(config: PluginConfig, directory: string, call: CallPlugin): Promise<Asked> {
  const { type } = config;
  if (type === PLUGIN_TYPE) return { config, versions: CNI_VERSIONS };
  try {
    const path = findPlugin(type, [directory]);
    const env = { CNI_COMMAND: 'VERSION', CNI_PATH: directory };
    const versions = (await call({ path, env, config: { cniVersion: NEWEST_VERSION } }))?.['supportedVersions'];
    if (Array.isArray(versions)) return { config, versions: versions as readonly unknown[] };
    return { config, versions: undefined, problem: `${path} answered VERSION without supportedVersions` };
  } catch (error) {
    return { config, versions: undefined, problem: error instanceof Error ? error.message : 'unknown' };
  }
}
