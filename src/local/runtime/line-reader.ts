import type { ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';

/** How much of a child's complaints a message carries, in characters. */
const MAX_COMPLAINT = 2_000;

/** Lines that a child prints, one by one; its end is an error, with what it complained of. */
export class LineReader {
  readonly #streams: readonly Readable[];
  readonly #lines: string[] = [];
  #rest = '';
  #complaint = '';
  #failed: Error | undefined;
  #wake: () => void = () => undefined;

  constructor(child: ChildProcess, out: Readable, errors: Readable | undefined) {
    this.#streams = errors === undefined ? [out] : [out, errors];
    out.on('data', (chunk: Buffer) => {
      const lines = (this.#rest + chunk.toString()).split('\n');
      this.#rest = lines.pop() ?? '';
      this.#lines.push(...lines);
      this.#wake();
    });
    errors?.on('data', (chunk: Buffer) => {
      this.#complaint = (this.#complaint + chunk.toString()).slice(0, MAX_COMPLAINT);
    });
    const fail = (error: Error): void => {
      this.#failed ??= error;
      this.#wake();
    };
    child.on('error', (cause) => fail(new Error(cause.message, { cause })));
    child.once('close', (code) => fail(new Error(this.#complaint.trim() || `ended with status ${code}`)));
  }

  /** The next line. @throws Error when the child ended before it */
  async next(): Promise<string> {
    for (;;) {
      const line = this.#lines.shift();
      if (line !== undefined) return line;
      if (this.#failed !== undefined) throw this.#failed;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** Stops listening, so that neither pipe keeps anything alive. */
  close(): void {
    for (const stream of this.#streams) stream.destroy();
  }
}
