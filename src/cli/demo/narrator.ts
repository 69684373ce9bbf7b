/** Where the demo's words go; a line at a time. */
export interface Paper {
  write(text: string): void;
}

/** One probe of the demo, for the table at its end. */
export interface Row {
  readonly step: number;
  readonly from: string;
  readonly to: string;
  readonly expected: string;
  readonly got: string;
  readonly good: boolean;
}

/** Tells the demo: numbered steps, commands, what was expected and what happened, and the table at the end. */
export class Narrator {
  readonly rows: Row[] = [];
  readonly #paper: Paper;
  readonly #pause: () => Promise<void>;
  #step = 0;

  /** @param pause called before each step but the first: waits for Enter, or does not. */
  constructor(paper: Paper, pause: () => Promise<void>) {
    this.#paper = paper;
    this.#pause = pause;
  }

  get step(): number {
    return this.#step;
  }

  /** Begins the next step. */
  async begin(title: string): Promise<void> {
    if (this.#step > 0) await this.#pause();
    this.#step += 1;
    this.#paper.write(`\n${this.#step}. ${title}\n`);
  }

  /** A sentence in the step. */
  say(text: string): void {
    this.#paper.write(`   ${text}\n`);
  }

  /** A command as a person would type it; a here-document's lines follow as they are, so that it can be pasted. */
  command(text: string): void {
    const [first, ...rest] = text.split('\n');
    this.#paper.write(`   $ ${first}\n${rest.map((line) => `${line}\n`).join('')}`);
  }

  /** Lines that belong to the command above. */
  detail(...lines: readonly string[]): void {
    for (const line of lines) this.#paper.write(`     ${line}\n`);
  }

  /** The outcome of a probe: shown, and kept for the table. */
  outcome(row: Omit<Row, 'step'>, took: string): void {
    this.rows.push({ ...row, step: this.#step });
    this.detail(`expected: ${row.expected}; happened: ${row.got}${took}   ${row.good ? 'ok' : 'NOT AS EXPECTED'}`, '');
  }

  /** The table of all probes, and whether everything was as expected. */
  table(): boolean {
    const heads = ['step', 'from', 'to', 'expected', 'happened', ''];
    const cells = this.rows.map((r) => [
      String(r.step),
      r.from,
      r.to,
      r.expected,
      r.got,
      r.good ? 'ok' : 'NOT AS EXPECTED',
    ]);
    const widths = heads.map((head, i) => Math.max(head.length, ...cells.map((row) => row[i]?.length ?? 0)));
    const line = (row: readonly string[]): string =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd();
    this.#paper.write(`\n${[heads, ...cells].map(line).join('\n')}\n`);
    const bad = this.rows.filter((row) => !row.good).length;
    const good = this.rows.length > 0 && bad === 0;
    this.#paper.write(
      good
        ? `\nAll ${this.rows.length} were as expected.\n`
        : `\n${bad} of ${this.rows.length} were NOT as expected.\n`,
    );
    return good;
  }
}
