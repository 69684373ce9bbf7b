import type { ServerResponse } from 'node:http';
import type { Kind } from './kind.ts';
import { unsupportedOption } from './status-error.ts';

const MODES = ['', 'Ignore', 'Strict', 'Warn'];

/** What is asked for about fields of a body that its kind does not know, and whom to tell. */
export interface FieldCheck {
  readonly query: URLSearchParams;
  readonly res: ServerResponse;
  /** For messages: `CreateOptions`, `UpdateOptions`, `PatchOptions`. */
  readonly options: string;
  /** The error for `Strict`. */
  readonly refuse: (why: string) => Error;
}

/**
 * Does as `fieldValidation` says about fields of a body that its kind does not know: `Strict` refuses them, `Warn`
 * (the default) names them in Warning headers (RFC 9111), `Ignore` does nothing.
 *
 * @throws StatusError 400, 422
 */
export function checkFields(kind: Kind, body: unknown, { query, res, options, refuse }: FieldCheck): void {
  const mode = query.get('fieldValidation') ?? '';
  if (!MODES.includes(mode)) throw unsupportedOption(options, 'fieldValidation', mode, MODES);
  if (mode === 'Ignore') return;
  const problems = kind.unknownFields(body).map((field) => `unknown field ${JSON.stringify(field)}`);
  if (problems.length === 0) return;
  if (mode === 'Strict') throw refuse(`strict decoding error: ${problems.join(', ')}`);
  const headers = problems.map((problem) => `299 - "${problem.replaceAll(/[\\"]/g, '\\$&')}"`);
  // A header may hold Latin letters only; a field that has others is not named.
  res.setHeader(
    'warning',
    headers.filter((header) => /^[\t\x20-\x7e]*$/.test(header)),
  );
}
