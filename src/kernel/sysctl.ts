import { closeSync, constants, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The sysctls of the calling thread's network namespace, wherever that thread is by then: the kernel looks below
 * `net` with the eyes of who asks (proc_sysctl.c), also in a folder that was mounted from another namespace.
 *
 * Paths are with slashes, since interface names may hold dots: `net/ipv6/conf/eth0/accept_ra`.
 */
export class Sysctls {
  readonly #root: string;

  /** @param root /proc/sys, or where it can be written: container runtimes mount it read-only into their containers. */
  constructor(root: string) {
    this.#root = root;
  }

  /**
   * Sets a sysctl.
   *
   * @throws Error with Node's own as its cause, when the kernel has no such sysctl or refuses the value.
   */
  write(path: string, value: string | number): void {
    try {
      // Only O_WRONLY: writeFileSync would ask for the file to be made as well.
      const fd = openSync(join(this.#root, path), constants.O_WRONLY);
      try {
        writeSync(fd, String(value));
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      throw new Error(`cannot set the sysctl ${path} to ${value} in ${this.#root}: ${reason(error)}`, { cause: error });
    }
  }

  /** A sysctl's value, or undefined when there is none. @throws Error when it cannot be read. */
  read(path: string): string | undefined {
    try {
      return readFileSync(join(this.#root, path), 'utf8').trim();
    } catch (error) {
      if (reason(error) === 'ENOENT') return undefined;
      throw new Error(`cannot read the sysctl ${path} in ${this.#root}: ${reason(error)}`, { cause: error });
    }
  }
}

/** Where the kernel shows them. */
export const PROC_SYS = '/proc/sys';

/** What every process sees that is in no container. */
export const sysctls = new Sysctls(PROC_SYS);

function reason(error: unknown): string {
  if (error instanceof Error && 'code' in error) return String(error.code);
  return String(error);
}
