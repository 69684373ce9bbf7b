import { ApiError, type StatusCause, type StatusDetails } from './client.ts';
import { asRecord, asText } from './json.ts';

/** How much of an answer that is no Status is put into the message, in characters. */
const EXCERPT_LENGTH = 200;

function causesOf(details: Readonly<Record<string, unknown>>): readonly StatusCause[] {
  const causes = details['causes'];
  if (!Array.isArray(causes)) return [];
  return causes.map((cause: unknown) => {
    const c = asRecord(cause);
    return { reason: asText(c?.['reason']), message: asText(c?.['message']), field: asText(c?.['field']) };
  });
}

function detailsOf(value: unknown): StatusDetails {
  const details = asRecord(value);
  if (details === undefined) return {};
  const retry = details['retryAfterSeconds'];
  return {
    name: asText(details['name']),
    kind: asText(details['kind']),
    causes: causesOf(details),
    ...(typeof retry === 'number' && retry > 0 ? { retryAfterSeconds: retry } : {}),
  };
}

/** The error that a Kubernetes Status (as JSON value) stands for. */
export function errorOfStatus(status: unknown, httpStatus: number, retryAfterMs?: number): ApiError {
  const s = asRecord(status);
  const code = s?.['code'];
  return new ApiError({
    status: typeof code === 'number' && code >= 100 ? code : httpStatus,
    reason: asText(s?.['reason']),
    message: asText(s?.['message']) || `the API server answered ${httpStatus} without a message`,
    details: detailsOf(s?.['details']),
    retryAfterMs,
  });
}

/** Milliseconds of a `Retry-After` header in seconds (RFC 9110 10.2.3); a date or nonsense is as if it were not there. */
export function retryAfterMs(header: string | readonly string[] | undefined): number | undefined {
  const text = typeof header === 'string' ? header : header?.[0];
  if (text === undefined || !/^\d{1,9}$/.test(text.trim())) return undefined;
  return Number(text) * 1000;
}

/** The error of an answer with an HTTP status of 400 and more, whether its body is a Status, a text or nothing. */
export function errorOfResponse(
  what: string,
  httpStatus: number,
  retryAfter: string | readonly string[] | undefined,
  body: string,
): ApiError {
  const after = retryAfterMs(retryAfter);
  try {
    const json: unknown = JSON.parse(body);
    if (asRecord(json)?.['kind'] === 'Status') return errorOfStatus(json, httpStatus, after);
  } catch {
    // A proxy's page or a plain text: its beginning is shown below.
  }
  const excerpt = body.trim().slice(0, EXCERPT_LENGTH);
  const message = `${what}: HTTP ${httpStatus}${excerpt === '' ? '' : `: ${excerpt}`}`;
  return new ApiError({ status: httpStatus, message, retryAfterMs: after });
}
