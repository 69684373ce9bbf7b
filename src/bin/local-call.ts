import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

import { HttpKubeClient } from '../kube/http-client.ts';
import type { Result } from '../lib/result.ts';
import type { ClusterLayout } from '../local/cluster-layout.ts';
import { takeLock } from '../local/cluster-lock.ts';
import { parseOwnKubeconfig } from '../local/pki.ts';

/** The checkout that this program is of. */
export const CHECKOUT: string = resolve(import.meta.dirname, '../..');

/** The cluster that is meant when none is named. */
export const DEFAULT_NAME = 'romana';

/** Status of a call whose words are off. */
const BAD_USAGE = 2;

/** A call whose words are off. */
export class UsageError extends Error {}

/** The value; what was refused is the fault of the call's words. @throws UsageError */
export function checked<T>(result: Result<T>): T {
  if (result.ok) return result.value;
  throw new UsageError(result.error);
}

/** Does the work of a call, says what it could not do, and leaves its exit status. */
export async function guarded(work: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await work();
  } catch (error) {
    process.stderr.write(`romana: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = error instanceof UsageError ? BAD_USAGE : 1;
  }
}

/** Does what only one call at a time may do with a cluster. */
export async function locked<T>(layout: ClusterLayout, work: () => Promise<T>): Promise<T> {
  const lock = takeLock(layout.lockFile);
  if (!lock.ok) throw new Error(lock.error);
  try {
    return await work();
  } finally {
    lock.value.release();
  }
}

/** @throws Error when this is not root */
export function needRoot(): void {
  if (process.getuid?.() !== 0) throw new Error('this needs root, for network namespaces; try it with sudo');
}

/** What ends a long wait, and how long it has taken. */
export function interruptible(): { readonly signal: AbortSignal; readonly seconds: () => string } {
  const abort = new AbortController();
  const interrupt = (): void => abort.abort(new Error('interrupted'));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  const began = performance.now();
  return { signal: abort.signal, seconds: () => `${((performance.now() - began) / 1000).toFixed(1)} s` };
}

/** A client for a kubeconfig file of a local cluster. */
export function connectTo(kubeconfigFile: string): HttpKubeClient {
  return new HttpKubeClient(parseOwnKubeconfig(readFileSync(kubeconfigFile, 'utf8')).connection);
}
