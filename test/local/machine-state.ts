import { readdirSync, readFileSync } from 'node:fs';
import { runCommand } from '../../src/local/run-command.ts';

/** What a cluster might leave on the machine, as text to compare; `mark` is in the names of this test's clusters. */
export async function machineState(mark: string): Promise<string> {
  const links = await runCommand('ip', ['-oneline', 'link']);
  const addresses = await runCommand('ip', ['-oneline', 'address']);
  const routes = await runCommand('ip', ['route', 'show', 'table', 'all']);
  const tables = await runCommand('nft', ['list', 'tables']);
  const namespaces = namesIn('/run/netns').filter((name) => name.includes(mark));
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .filter((line) => line.includes(mark));
  const files = ['/run', '/var/lib'].flatMap((directory) => namesIn(directory).filter((name) => name.includes(mark)));
  return JSON.stringify(
    [names(links), names(addresses), names(routes), tables, namespaces, mounts, files, processesWith(mark)],
    undefined,
    1,
  );
}

/** Command lines of processes that name a cluster of this test. */
export function processesWith(mark: string): string[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && entry !== String(process.pid))
    .flatMap((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return line.includes(mark) ? [line] : [];
      } catch {
        return [];
      }
    });
}

/** Without lifetimes and counters, which change by themselves. */
function names(text: string): string[] {
  return text.split('\n').map((line) => line.split(/\s+/).slice(0, 4).join(' '));
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
