import type { Command } from './command.ts';

/**
 * The only seam to nftables: text in, text out, as `nft -f -` and `nft list table inet NAME` have it, and a shorter
 * way for changes, whose cost hardly grows with the table.
 */
export interface Nft {
  /**
   * Runs `text` as one transaction: all of it or nothing. The empty text does nothing.
   *
   * @throws NftError with what nftables said
   */
  run(text: string): void;

  /**
   * Carries out commands, in the order given, as one transaction: all of them or nothing. No command does nothing. It is
   * stricter than text: what is added must not be there.
   *
   * @returns false, with nothing done, when there is a command that can't go this way and has to go as text: a form of
   *   rule or set that is not encoded, or too many at once.
   * @throws NftError with what the kernel said: what is named, or to be deleted, is not there, what is to be added is
   */
  change(commands: readonly Command[]): boolean;

  /**
   * Whether the kernel would take a transaction, without carrying it out.
   *
   * @throws NftError with why not
   */
  check(text: string): void;

  /**
   * The listing of the table `inet NAME`.
   *
   * @throws NftError when there is none
   */
  list(table: string): string;
}

/** nftables refused a transaction, which therefore changed nothing. */
export class NftError extends Error {
  override readonly name = 'NftError';
  /** What was to be run. */
  readonly text: string;
  /** What nftables said about it, as it said it. */
  readonly said: string;

  constructor(text: string, said: string, options?: ErrorOptions) {
    super(`nftables refused ${summary(text)}: ${said.trim().split('\n', 1)[0] ?? ''}`, options);
    this.text = text;
    this.said = said;
  }
}

function summary(text: string): string {
  const lines = text.trim().split('\n');
  const first = lines[0] ?? '';
  const shown = first.length > 80 ? `${first.slice(0, 80)}...` : first;
  return lines.length > 1 ? `a transaction of ${lines.length} lines that begins with "${shown}"` : `"${shown}"`;
}
