import { readdirSync, readFileSync } from 'node:fs';
import type { ClusterLayout, NodeLayout } from './cluster-layout.ts';

/** How a service of a node fares, by its log. */
export interface ServiceLog {
  readonly node: string;
  readonly service: string;
  /** How many times it ended and was started again since its node was booted. */
  readonly ends: number;
  /** Its last lines, oldest first. */
  readonly lastLines: readonly string[];
}

const LAST_LINES = 8;

/** The logs of all services that have written one. */
export function readServiceLogs(layout: ClusterLayout): ServiceLog[] {
  return layout.nodes.flatMap((node) => {
    const directory = `${node.directory}/log/romana`;
    return namesIn(directory).map((file) => {
      const lines = readFileSync(`${directory}/${file}`, 'utf8')
        .split('\n')
        .filter((line) => line !== '');
      const life = lines.slice(lines.findLastIndex((line) => line.startsWith('=== ')) + 1);
      return {
        node: node.name,
        service: file.replace(/\.log$/, ''),
        ends: life.filter((line) => line.startsWith('--- ')).length,
        lastLines: life.slice(-LAST_LINES),
      };
    });
  });
}

/** The last lines of the services that ended, for the message of a failure; '' when none did. */
export function describeFailures(logs: readonly ServiceLog[]): string {
  return logs
    .filter((log) => log.ends > 0)
    .map((log) => [`${log.service} on ${log.node} ended ${log.ends} times:`, ...log.lastLines].join('\n  '))
    .join('\n');
}

/** The last lines that a node's process 1 wrote, in one line; '' when it wrote none. */
export function initComplaint(node: NodeLayout): string {
  try {
    return readFileSync(`${node.directory}/log/init.log`, 'utf8').trim().split('\n').slice(-LAST_LINES).join('; ');
  } catch {
    return '';
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // the node has not come so far
  }
}
