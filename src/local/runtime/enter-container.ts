import type { ContainerRecord } from './pod-record.ts';

/**
 * Words of a command that runs `command` in a container: all its namespaces, its environment and working directory.
 * They are for the node's mount and pid namespaces.
 */
export function enterContainer(
  container: Pick<ContainerRecord, 'pid' | 'env' | 'workingDir'>,
  command: readonly string[],
  extra: Readonly<Record<string, string>> = {},
): readonly string[] {
  const env = Object.entries({ ...container.env, ...extra }).map(([key, value]) => `${key}=${value}`);
  return [
    'nsenter',
    '--target',
    String(container.pid),
    '--mount',
    '--uts',
    '--ipc',
    '--net',
    '--pid',
    '--',
    'env',
    '--ignore-environment',
    `--chdir=${container.workingDir}`,
    ...env,
    ...command,
  ];
}
