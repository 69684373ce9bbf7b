import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
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

/** What is known of one log. */
interface KnownLog {
  /** Up to where it was read, in bytes. */
  offset: number;
  /** The last line, as far as it is written. */
  begun: string;
  ends: number;
  lastLines: string[];
}

/** The logs of a cluster's services. They grow for weeks, so each look reads only what has come since the last one. */
export class ServiceLogs {
  readonly #layout: ClusterLayout;
  readonly #known = new Map<string, KnownLog>();

  constructor(layout: ClusterLayout) {
    this.#layout = layout;
  }

  /** All that have been written. */
  read(): ServiceLog[] {
    return this.#layout.nodes.flatMap((node) => {
      const directory = `${node.directory}/log/romana`;
      return namesIn(directory).map((file) => {
        const { ends, lastLines } = this.#catchUp(`${directory}/${file}`);
        return { node: node.name, service: file.replace(/\.log$/, ''), ends, lastLines };
      });
    });
  }

  #catchUp(file: string): KnownLog {
    const known = this.#known.get(file) ?? { offset: 0, begun: '', ends: 0, lastLines: [] };
    this.#known.set(file, known);
    const added = readFrom(file, known.offset);
    known.offset += added.length;
    const lines = (known.begun + added.toString('latin1')).split('\n');
    known.begun = lines.pop() ?? '';
    for (const line of lines) {
      if (line.startsWith('=== ')) Object.assign(known, { ends: 0, lastLines: [] });
      else if (line.startsWith('--- ')) known.ends += 1;
    }
    const life = lines.slice(lines.findLastIndex((line) => line.startsWith('=== ')) + 1).filter((line) => line !== '');
    const recent = life.slice(-LAST_LINES).map((line) => Buffer.from(line, 'latin1').toString());
    known.lastLines = [...known.lastLines, ...recent].slice(-LAST_LINES);
    return known;
  }
}

/** The bytes of a file from `offset` to its end. */
function readFrom(file: string, offset: number): Buffer {
  const fd = openSync(file, 'r');
  try {
    const bytes = Buffer.alloc(Math.max(0, fstatSync(fd).size - offset));
    return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, offset));
  } finally {
    closeSync(fd);
  }
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
