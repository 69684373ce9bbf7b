import { closeSync, constants, openSync, readFileSync, writeSync } from 'node:fs';

const ROOT = '/proc/sys/';

/**
 * Sets a sysctl of this thread's network namespace.
 *
 * @param path with slashes, since interface names may hold dots: `net/ipv6/conf/eth0/accept_ra`.
 * @throws Error with Node's own as its cause, when the kernel has no such sysctl or refuses the value.
 */
export function writeSysctl(path: string, value: string | number): void {
  try {
    // Only O_WRONLY: writeFileSync would ask for the file to be made as well.
    const fd = openSync(ROOT + path, constants.O_WRONLY);
    try {
      writeSync(fd, String(value));
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw new Error(`cannot set the sysctl ${path} to ${value}: ${reason(error)}`, { cause: error });
  }
}

/** Reads a sysctl of this thread's network namespace (path as for `writeSysctl`), or undefined when there is none. */
export function readSysctl(path: string): string | undefined {
  try {
    return readFileSync(ROOT + path, 'utf8').trim();
  } catch (error) {
    if (reason(error) === 'ENOENT') return undefined;
    throw new Error(`cannot read the sysctl ${path}: ${reason(error)}`, { cause: error });
  }
}

function reason(error: unknown): string {
  if (error instanceof Error && 'code' in error) return String(error.code);
  return String(error);
}
