import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';

interface Calls {
  getaffinity(pid: number, length: number, mask: Buffer): number;
  setaffinity(pid: number, length: number, mask: Buffer): number;
}

// linux/threads.h: as many CPUs as a kernel of a distribution knows.
const MASK_BYTES = 8192 / 8;
/** The calling thread, for sched_setaffinity(2). */
const SELF = 0;

let loaded: { readonly calls: Calls; readonly all: Buffer; readonly one: Buffer } | undefined;

/**
 * Where the packets of this test are sent. Each CPU has a queue of its own for what goes over a veth pair, so packets of
 * one CPU keep their order, and those of two may overtake each other when one of them is kept from running: a control
 * packet says nothing then of what was sent before it.
 */
function cpus(): { readonly calls: Calls; readonly all: Buffer; readonly one: Buffer } {
  if (loaded !== undefined) return loaded;
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  const library = koffi.load('libc.so.6');
  const calls: Calls = {
    getaffinity: library.func('int sched_getaffinity(int, size_t, _Out_ void *)'),
    setaffinity: library.func('int sched_setaffinity(int, size_t, const void *)'),
  };
  const all = Buffer.alloc(MASK_BYTES);
  if (calls.getaffinity(SELF, MASK_BYTES, all) < 0) throw new Error('sched_getaffinity failed');
  const allowed = Array.from({ length: MASK_BYTES * 8 }, (_, cpu) => cpu).filter(
    (cpu) => ((all[cpu >> 3] ?? 0) >> (cpu & 7)) & 1,
  );
  const one = Buffer.alloc(MASK_BYTES);
  const chosen = allowed[process.pid % allowed.length] ?? 0;
  one[chosen >> 3] = 1 << (chosen & 7);
  loaded = { calls, all, one };
  return loaded;
}

/** Has a process send from the test's one CPU from now on. @throws Error when there is none */
export function sendFromOneCpu(pid: number): void {
  const { calls, one } = cpus();
  if (calls.setaffinity(pid, MASK_BYTES, one) < 0) throw new Error(`sched_setaffinity failed for process ${pid}`);
}

/** What `act` sends is sent from the test's one CPU; this thread alone, which goes where it wants afterwards. */
export function onOneCpu<T>(act: () => T): T {
  sendFromOneCpu(SELF);
  try {
    return act();
  } finally {
    const { calls, all } = cpus();
    calls.setaffinity(SELF, MASK_BYTES, all);
  }
}
