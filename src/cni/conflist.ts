import { BARE_CHAIN, type Chain } from './chain.ts';
import { type CniVersion, NEWEST_VERSION } from './version.ts';

/** Name of the network in the runtime's configuration. */
export const NETWORK_NAME = 'romana';

/** File name of the network configuration in /etc/cni/net.d: runtimes take the first one in order of names. */
export const CONFLIST_FILE = '10-romana.conflist';

/**
 * The network configuration list for container runtimes. It carries nothing of the address plan, which the agent
 * knows, so that it never goes stale; and no credentials.
 *
 * @param version the one in which all plugins of the chain are called.
 */
export function conflistText(chain: Chain = BARE_CHAIN, version: CniVersion = NEWEST_VERSION): string {
  return `${JSON.stringify({ cniVersion: version, name: NETWORK_NAME, plugins: chain }, undefined, 2)}\n`;
}
