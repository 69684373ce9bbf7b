import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';

/** A JSON object, such as a plugin's configuration or its result. */
type Json = Readonly<Record<string, unknown>>;

/** One call of a plugin. */
export interface PluginCall {
  /** Executable, absolute. */
  readonly path: string;
  /** CNI_* variables. */
  readonly env: Readonly<Record<string, string>>;
  readonly config: Json;
}

/** Calls a plugin and returns what it printed as JSON; undefined when it printed nothing. Throws `CniCallError`. */
export type CallPlugin = (call: PluginCall) => Promise<Json | undefined>;

/** A plugin that failed. `code` is the CNI spec's (section 5), 0 when the plugin did not say. */
export class CniCallError extends Error {
  readonly code: number;

  constructor(message: string, code: number, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CniCallError';
    this.code = code;
  }
}

/** How long a plugin may take, in milliseconds: the kubelet gives the runtime 2 minutes for a whole sandbox. */
const PLUGIN_MS = 120_000;

/** Finds a plugin's executable in CNI_PATH. @throws CniCallError when it is nowhere. */
export function findPlugin(type: string, directories: readonly string[]): string {
  for (const directory of directories) {
    const path = `${directory}/${type}`;
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Next directory.
    }
  }
  throw new CniCallError(`failed to find plugin "${type}" in path [${directories.join(' ')}]`, 0);
}

/**
 * Runs a plugin as a process (CNI spec 1.1, section 2).
 *
 * @param base the environment that it inherits.
 * @param limitMs how long it may take, in milliseconds; then it is ended and has failed.
 */
export function processPlugin(base: Readonly<Record<string, string>>, limitMs = PLUGIN_MS): CallPlugin {
  return ({ path, env, config }) =>
    new Promise((resolve, reject) => {
      const child = spawn(path, [], { stdio: ['pipe', 'pipe', 'pipe'], env: { ...base, ...env }, timeout: limitMs });
      const out: Buffer[] = [];
      const errors: Buffer[] = [];
      child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
      child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
      child.on('error', (cause) => reject(new CniCallError(`can't run ${path}: ${cause.message}`, 0, { cause })));
      child.on('close', (code, signal) => {
        const text = Buffer.concat(out).toString();
        if (code === 0) return settle(text, path, resolve, reject);
        const how = signal === null ? `exit status ${code}` : `signal ${signal}`;
        reject(failure(path, text, Buffer.concat(errors).toString().trim() || how));
      });
      child.stdin.on('error', () => undefined); // A plugin need not read all of it.
      child.stdin.end(JSON.stringify(config));
    });
}

function settle(
  text: string,
  path: string,
  resolve: (value: Json | undefined) => void,
  reject: (error: Error) => void,
): void {
  if (text.trim() === '') return resolve(undefined);
  const json = parseJson(text);
  if (json === undefined) return reject(new CniCallError(`${path} printed no JSON object: ${text.slice(0, 200)}`, 6));
  resolve(json);
}

function failure(path: string, out: string, errors: string): CniCallError {
  const json = parseJson(out);
  if (json === undefined) return new CniCallError(`${path} failed: ${out.trim() || errors}`, 0);
  const { code, msg, details } = json;
  const parts = [msg, details].filter((part) => typeof part === 'string' && part !== '');
  const why = parts.length === 0 ? errors : parts.join('; ');
  return new CniCallError(
    `plugin type="${path.slice(path.lastIndexOf('/') + 1)}" failed: ${why}`,
    typeof code === 'number' ? code : 0,
  );
}

function parseJson(text: string): Json | undefined {
  try {
    const json: unknown = JSON.parse(text);
    return isObject(json) ? json : undefined;
  } catch {
    return undefined;
  }
}

function isObject(json: unknown): json is Json {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}
