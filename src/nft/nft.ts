/** The only seam to nftables: text in, text out, as `nft -f -` and `nft list table inet NAME` have it. */
export interface Nft {
  /**
   * Runs `text` as one transaction: all of it or nothing. The empty text does nothing.
   *
   * @throws NftError with what nftables said
   */
  run(text: string): void;

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

  constructor(text: string, said: string) {
    super(`nftables refused ${summary(text)}: ${said.trim().split('\n', 1)[0] ?? ''}`);
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
