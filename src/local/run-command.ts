import { spawn } from 'node:child_process';

/** What `runCommand` takes beside the words. */
export interface CommandOptions {
  /** Written to its standard input. */
  readonly input?: string;
  readonly env?: Record<string, string>;
  readonly signal?: AbortSignal;
}

/**
 * Runs a program to its end and returns what it printed.
 *
 * @throws Error when it can't be started or ends with another status than 0, with what it wrote to standard error.
 */
export function runCommand(file: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(options.env === undefined ? {} : { env: options.env }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    const out: Buffer[] = [];
    const errors: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
    child.on('error', (cause) => reject(new Error(`can't run ${file}: ${cause.message}`, { cause })));
    child.on('close', (code, signal) => {
      if (code === 0) return resolve(Buffer.concat(out).toString());
      const said = Buffer.concat(errors).toString().trim() || 'no message';
      reject(new Error(`'${[file, ...args].join(' ')}' ended with ${signal ?? `status ${code}`}: ${said}`));
    });
    // A program that ends without reading its input is judged by its status alone.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
  });
}
