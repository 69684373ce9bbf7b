import { NEWEST_VERSION } from './version.ts';

/** Name of the network in the runtime's configuration. */
export const NETWORK_NAME = 'romana';

/** Name of the plugin, which is the file name of its executable. */
export const PLUGIN_TYPE = 'romana';

/** File name of the network configuration in /etc/cni/net.d: runtimes take the first one in order of names. */
export const CONFLIST_FILE = '10-romana.conflist';

/**
 * The network configuration list for container runtimes. It carries nothing of the address plan, which the agent
 * knows, so it is the same on every node and never goes stale; and no credentials.
 */
export function conflistText(): string {
  const list = { cniVersion: NEWEST_VERSION, name: NETWORK_NAME, plugins: [{ type: PLUGIN_TYPE }] };
  return `${JSON.stringify(list, undefined, 2)}\n`;
}
