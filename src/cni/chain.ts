import { type Result, err, ok } from '../lib/result.ts';
import { CNI_VERSIONS, type CniVersion, atLeast } from './version.ts';

/** Name of our plugin, which is the file name of its executable. */
export const PLUGIN_TYPE = 'romana';

/** One plugin of a configuration list, as it is written there. */
export type PluginConfig = Readonly<Record<string, unknown>> & {
  /** The file name of its executable. */
  readonly type: string;
};

/**
 * The plugins that are called for one attachment, in order of ADD; DEL goes in reverse order. Ours is one of them,
 * once.
 */
export type Chain = readonly PluginConfig[];

const OURS: PluginConfig = { type: PLUGIN_TYPE };

/** Ours alone. */
export const BARE_CHAIN: Chain = [OURS];

/**
 * What pods may ask for that is not a network's own business: hostPort, and the annotations
 * `kubernetes.io/ingress-bandwidth` and `egress-bandwidth`. Both are standard plugins
 * (https://www.cni.dev/plugins/current/meta/).
 */
export const STANDARD_CHAIN: Chain = [
  OURS,
  { type: 'portmap', capabilities: { portMappings: true } },
  { type: 'bandwidth', capabilities: { bandwidth: true } },
];

/**
 * Reads a chain as an operator writes it: a JSON list of plugins' configurations, as `plugins` of a network
 * configuration list is. Ours comes first unless the list says where it comes.
 */
export function parseChain(text: string): Result<Chain> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return err(`the CNI chain is no JSON: ${error instanceof Error ? error.message : 'unknown'}`);
  }
  if (!Array.isArray(json)) return err('the CNI chain must be a JSON list of plugin configurations');
  const chain: PluginConfig[] = [];
  for (const [index, item] of (json as readonly unknown[]).entries()) {
    const config = typeof item === 'object' && item !== null ? (item as Readonly<Record<string, unknown>>) : {};
    const type = config['type'];
    if (typeof type !== 'string' || !/^[^/\s]{1,255}$/u.test(type) || type === '.' || type === '..') {
      return err(`the CNI chain's plugin ${index + 1} has no usable type, the file name of its executable`);
    }
    chain.push({ ...config, type });
  }
  const ours = chain.filter(({ type }) => type === PLUGIN_TYPE).length;
  if (ours > 1) return err(`the CNI chain has the plugin ${PLUGIN_TYPE} ${ours} times, it must be there once`);
  return ok(ours === 1 ? chain : [OURS, ...chain]);
}

/** The newest CNI version that everybody speaks, by what VERSION of each plugin answered; undefined without one. */
export function commonVersion(supported: readonly (readonly unknown[])[]): CniVersion | undefined {
  return CNI_VERSIONS.findLast((version) => supported.every((versions) => versions.includes(version)));
}

/** What runtimes do not ask for in a network of `version`, as words for people; empty for the newest. */
export function lostBelow(version: CniVersion): readonly string[] {
  return [
    ...(atLeast(version, '1.1.0')
      ? []
      : [
          'STATUS: the node stays Ready when its agent is away or its addresses are used up',
          'GC: what the runtime forgot is found by the agent alone',
        ]),
    ...(atLeast(version, '0.4.0') ? [] : ['CHECK: nobody asks whether an attachment is as it was made']),
  ];
}
