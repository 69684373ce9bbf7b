import { type Address, familyOf } from '../../addr/address.ts';

/** What a request from pod to pod may come to. */
export type Outcome = 'the page' | 'a time-out' | 'a refusal';

/** What a command in a pod gave back. */
export interface ExecResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Seconds after which curl gives up; a denied packet is dropped, so a denial shows as this time-out. */
const TIMEOUT_SECONDS = 1;
/** curl's exit statuses (man curl, EXIT CODES). */
const COULD_NOT_CONNECT = 7;
const TIMED_OUT = 28;

/** The request as a person would type it in the pod. */
export function requestCommand(to: Address, port: number): readonly string[] {
  const host = familyOf(to) === 6 ? `[${to}]` : to;
  return ['curl', '-sS', '-m', String(TIMEOUT_SECONDS), `http://${host}${port === 80 ? '' : `:${port}`}/`];
}

/** What a request came to: an `Outcome`, and anything else in curl's words. */
export function outcomeOf(result: ExecResult): string {
  if (result.exitCode === 0) {
    const title = /<title>(.*?)<\/title>/i.exec(result.stdout)?.[1];
    return title === 'Welcome to nginx!'
      ? ('the page' satisfies Outcome)
      : `another page (${title ?? result.stdout.slice(0, 40)})`;
  }
  if (result.exitCode === TIMED_OUT) return 'a time-out' satisfies Outcome;
  // curl does not always name the refusal, but it names the other reasons that there are for this status.
  if (result.exitCode === COULD_NOT_CONNECT && !/no route|unreachable/i.test(result.stderr))
    return 'a refusal' satisfies Outcome;
  return `status ${result.exitCode}: ${result.stderr.trim() || 'no words'}`;
}
