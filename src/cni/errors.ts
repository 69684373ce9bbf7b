import { NEWEST_VERSION } from './version.ts';

/** The CNI spec's well-known error codes (https://www.cni.dev/docs/spec/#error); 100 and above are a plugin's own. */
export const CNI_CODES = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  unknownContainer: 3,
  invalidEnvironment: 4,
  ioFailure: 5,
  decodingFailure: 6,
  invalidConfiguration: 7,
  tryAgainLater: 11,
  notAvailable: 50,
  limitedConnectivity: 51,
  /** Ours: the agent or the kernel could not do it. */
  internal: 100,
} as const;

/** Why a CNI call failed. */
export interface CniError {
  readonly code: number;
  /** One sentence: what could not be done and why. */
  readonly msg: string;
  /** What was found, for whoever looks closer. */
  readonly details?: string;
}

/** A failure with one of `CNI_CODES`. */
export function cniError(code: keyof typeof CNI_CODES, msg: string, details?: string): CniError {
  return details === undefined ? { code: CNI_CODES[code], msg } : { code: CNI_CODES[code], msg, details };
}

/** The JSON that a plugin prints when it fails; `cniVersion` is the caller's, as far as it is known. */
export function errorJson(error: CniError, cniVersion: string = NEWEST_VERSION): object {
  return { cniVersion, ...error };
}

/** A failure of a CNI call on its way up through code that throws. */
export class CniFailure extends Error {
  readonly error: CniError;

  constructor(error: CniError, options?: ErrorOptions) {
    super(error.msg, options);
    this.name = 'CniFailure';
    this.error = error;
  }
}

const MAX_CAUSES = 8;

/**
 * The CNI error for whatever was thrown while `what` was done ("could not ..."): a `CniFailure`'s own, else
 * `internal` with the causes as details.
 */
export function cniErrorOf(thrown: unknown, what: string): CniError {
  if (thrown instanceof CniFailure) return thrown.error;
  const messages: string[] = [];
  for (let cause = thrown; cause !== undefined && messages.length < MAX_CAUSES;) {
    messages.push(textOf(cause));
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return cniError('internal', `${what}: ${messages[0] ?? 'unknown'}`, messages.slice(1).join(': ') || undefined);
}

function textOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message;
  return typeof thrown === 'string' ? thrown : 'something that is no error was thrown';
}
