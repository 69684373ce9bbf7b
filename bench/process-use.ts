import { readdirSync, readFileSync } from 'node:fs';

/** The processor time that the threads of a process have had so far, in seconds (schedstat of proc_pid(5), in ns). */
export function processorSeconds(pid: number): number {
  let sum = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    sum += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[0]);
  }
  return sum / 1e9;
}

/** What of a process is in memory (VmRSS of proc_pid_status(5)), in bytes; pages that it shares with others too. */
export function residentBytes(pid: number): number {
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  return Number(kibibytes ?? 0) * 1024;
}
