import { existsSync, mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { runCommand } from './run-command.ts';

/**
 * Makes named network namespaces as `ip netns` shows them, with loopback up. (`ip netns add` itself would turn
 * /run/netns into a mount point of its own, which nothing would undo.)
 */
export async function makeNetworkNamespaces(directory: string, names: readonly string[]): Promise<void> {
  mkdirSync(directory, { recursive: true });
  await Promise.all(
    names.map(async (name) => {
      const file = `${directory}/${name}`;
      writeFileSync(file, '', { flag: 'wx' });
      await runCommand('unshare', [`--net=${file}`, 'ip', 'link', 'set', 'lo', 'up']);
    }),
  );
}

/** Removes those of the named network namespaces that are there, and the directory if it is empty then. */
export async function removeNetworkNamespaces(directory: string, names: readonly string[]): Promise<void> {
  await Promise.all(
    names.map(async (name) => {
      const file = `${directory}/${name}`;
      if (!existsSync(file)) return;
      if (networkNamespaceExists(file)) await runCommand('umount', [file]);
      rmSync(file, { force: true });
    }),
  );
  try {
    rmdirSync(directory);
  } catch {
    // Others have namespaces there, or nobody ever had.
  }
}

/** Whether a network namespace is mounted on the file. */
export function networkNamespaceExists(file: string): boolean {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .some((line) => line.split(' ')[4] === file);
}
