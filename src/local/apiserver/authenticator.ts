import { createHash, timingSafeEqual } from 'node:crypto';
import { StatusError } from './status-error.ts';

/** A bearer token and whose it is. */
export interface Token {
  readonly token: string;
  readonly user: string;
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** Knows people and parts by their bearer tokens; compares in constant time. */
export class Authenticator {
  readonly #known: readonly { readonly hash: Buffer; readonly user: string }[];

  constructor(tokens: readonly Token[]) {
    this.#known = tokens.map(({ token, user }) => ({ hash: digest(token), user }));
  }

  /** The user of an Authorization header. @throws StatusError 401 */
  user(authorization: string | undefined): string {
    const token = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
    const hash = token === undefined ? undefined : digest(token);
    const found = hash === undefined ? undefined : this.#known.find((known) => timingSafeEqual(known.hash, hash));
    if (found === undefined) throw new StatusError(401, 'Unauthorized', 'Unauthorized');
    return found.user;
  }
}
