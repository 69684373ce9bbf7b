import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PLUGIN_TYPE } from '../cni/chain.ts';
import { CONFLIST_FILE } from '../cni/conflist.ts';
import { writeFileAtomically } from './atomic-file.ts';

/** Where container runtimes look for the network, and the plugin to put there. */
export interface CniInstallation {
  /** The executable that `launcher/build.sh` made. */
  readonly launcher: string;
  /** /opt/cni/bin unless the runtime is told otherwise. */
  readonly pluginDirectory: string;
  /** /etc/cni/net.d unless the runtime is told otherwise. */
  readonly configurationDirectory: string;
}

/**
 * Shows the network to the container runtime: the plugin first, then the configuration, each whole or not at all;
 * what is as it should be is not touched. To be called only when the agent can serve: from then on the kubelet
 * takes the node for ready. An agent that ends leaves both there, since the pods' network goes on without it and
 * the launcher answers for it.
 *
 * @param conflist the text of the configuration.
 * @returns the paths that were written, none when all was in place.
 */
export function installCni(to: CniInstallation, conflist: string): readonly string[] {
  const files = [
    { directory: to.pluginDirectory, name: PLUGIN_TYPE, content: readFileSync(to.launcher), mode: 0o755 },
    { directory: to.configurationDirectory, name: CONFLIST_FILE, content: Buffer.from(conflist), mode: 0o644 },
  ];
  const written: string[] = [];
  for (const { directory, name, content, mode } of files) {
    mkdirSync(directory, { recursive: true });
    const path = join(directory, name);
    if (contentOf(path)?.equals(content) === true) continue;
    writeFileAtomically(path, content, mode);
    written.push(path);
  }
  return written;
}

function contentOf(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined; // to be written, which tells why it cannot be read if it still cannot
  }
}
