import { readdirSync } from 'node:fs';

/** Whose log. */
export interface LogOwner {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** Where a pod's logs are, laid out as the kubelet does. */
export function podLogDirectory(base: string, pod: LogOwner): string {
  return `${base}/${pod.namespace}_${pod.name}_${pod.uid}`;
}

/** The log of one run of a container: what it wrote to standard output and error, as it came. */
export function logFile(base: string, pod: LogOwner, container: string, restartCount: number): string {
  return `${podLogDirectory(base, pod)}/${container}.${restartCount}.log`;
}

/** The number of the last run that has a log; `previous`: the one before. Undefined when there is none. */
export function lastRun(base: string, pod: LogOwner, container: string, previous: boolean): number | undefined {
  let files: readonly string[];
  try {
    files = readdirSync(podLogDirectory(base, pod));
  } catch {
    return undefined;
  }
  const runs = files
    .filter((file) => file.startsWith(`${container}.`) && file.endsWith('.log'))
    .map((file) => Number(file.slice(container.length + 1, -'.log'.length)))
    .filter(Number.isInteger)
    .sort((a, b) => b - a);
  return runs[previous ? 1 : 0];
}
