import type { ServerResponse } from 'node:http';
import type { Kind } from './kind.ts';
import { badRequest } from './status-error.ts';

/**
 * Does as `fieldValidation` says about fields of a body that its kind does not know: `Strict` refuses them, `Warn`
 * (the default) names them in Warning headers (RFC 9111), `Ignore` does nothing.
 *
 * @throws StatusError 400
 */
export function checkFields(kind: Kind, body: unknown, query: URLSearchParams, res: ServerResponse): void {
  const mode = query.get('fieldValidation') || 'Warn';
  if (!['Strict', 'Warn', 'Ignore'].includes(mode))
    throw badRequest(`fieldValidation must be Ignore, Warn or Strict, not ${JSON.stringify(mode)}`);
  if (mode === 'Ignore') return;
  const problems = kind.unknownFields(body).map((field) => `unknown field ${JSON.stringify(field)}`);
  if (problems.length === 0) return;
  if (mode === 'Strict') {
    const why = `strict decoding error: ${problems.join(', ')}`;
    throw badRequest(`${kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: ${why}`);
  }
  const headers = problems.map((problem) => `299 - "${problem.replaceAll(/[\\"]/g, '\\$&')}"`);
  // A header may hold Latin letters only; a field that has others is not named.
  res.setHeader(
    'warning',
    headers.filter((header) => /^[\t\x20-\x7e]*$/.test(header)),
  );
}
