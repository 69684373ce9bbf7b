import koffi from 'koffi';

// Programs started through posix_spawn(3), as a container runtime in Go starts them (clone with CLONE_VM and
// CLONE_VFORK): Node's own spawn forks, which copies the page tables of the whole bench and costs more than some of
// what is measured.

const ACTIONS_BYTES = 256; // posix_spawn_file_actions_t takes 80 in glibc
const EXITED = 0x7f;
const libc = koffi.load('libc.so.6');
const posixSpawn = libc.func(
  'int posix_spawn(_Out_ int *, const char *, const void *, const void *, const char **, const char **)',
);
const initActions = libc.func('int posix_spawn_file_actions_init(void *)');
const addDup2 = libc.func('int posix_spawn_file_actions_adddup2(void *, int, int)');
const destroyActions = libc.func('int posix_spawn_file_actions_destroy(void *)');
const waitpid = libc.func('int waitpid(int, _Out_ int *, int)');

/** A program to be started. */
export interface Program {
  readonly file: string;
  readonly env: Readonly<Record<string, string>>;
  /** File descriptor of its standard input. */
  readonly input: number;
  /** File descriptor of its standard output and error. */
  readonly output: number;
}

/** Starts the program. @returns its pid. @throws Error with the number of the error, when it can't be. */
export function startProgram({ file, env, input, output }: Program): number {
  const actions = Buffer.alloc(ACTIONS_BYTES);
  initActions(actions);
  try {
    for (const [from, to] of [
      [input, 0],
      [output, 1],
      [output, 2],
    ])
      addDup2(actions, from, to);
    const pid: [number] = [0];
    const words = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    const failed = posixSpawn(pid, file, actions, null, [file, null], [...words, null]) as number;
    if (failed !== 0) throw new Error(`could not start ${file}: error ${failed}`);
    return pid[0];
  } finally {
    destroyActions(actions);
  }
}

/**
 * Waits for the end of a child, and does nothing else meanwhile.
 *
 * @param pid the child, or -1 for whichever ends first, those that Node started included.
 * @returns its pid and exit status, which is 128 and more for a signal.
 */
export function waitForProgram(pid: number): { pid: number; status: number } {
  const status: [number] = [0];
  const ended = waitpid(pid, status, 0) as number;
  if (ended < 0) throw new Error(`waitpid(${pid}) found no child`);
  const signal = status[0] & EXITED;
  return { pid: ended, status: signal === 0 ? (status[0] >> 8) & 0xff : 128 + signal };
}
