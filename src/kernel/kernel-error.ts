import { constants } from 'node:os';

const NAMES: ReadonlyMap<number, string> = new Map([
  ...Object.entries(constants.errno).map(([name, number]): [number, string] => [number, name]),
  // Two that Linux has one number for, by the name that its manual pages use, and one that only the kernel itself uses.
  [11, 'EAGAIN'],
  [95, 'EOPNOTSUPP'],
  [524, 'ENOTSUPP'],
]);

/** The name of an errno (`EEXIST` of 17), or `errno N` where Linux has none. */
export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? `errno ${errno}`;
}

/** What the kernel refused: a system call or a netlink request. */
export class KernelError extends Error {
  override readonly name = 'KernelError';
  /** The positive errno (`asm-generic/errno.h`). */
  readonly errno: number;
  /** Its name, e.g. `EEXIST`. */
  readonly code: string;
  /** What was asked of the kernel, e.g. `add route 10.1.0.0/16`. */
  readonly what: string;
  /** The kernel's own words (netlink extended ack), or ''. */
  readonly said: string;

  constructor(what: string, errno: number, said = '', options?: ErrorOptions) {
    super(`cannot ${what}: ${errnoName(errno)}${said === '' ? '' : ` (${said})`}`, options);
    this.errno = errno;
    this.code = errnoName(errno);
    this.what = what;
    this.said = said;
  }
}

/** Whether `error` is a KernelError with one of these errno names. */
export function isKernelError(error: unknown, ...codes: readonly string[]): error is KernelError {
  return error instanceof KernelError && (codes.length === 0 || codes.includes(error.code));
}
