import { isNotFound, isStatus, type KubeClient } from '../../kube/client.ts';
import { identityOf } from '../../kube/json.ts';
import type { Clock } from '../../lib/clock.ts';
import { parseHostReport } from '../../objects/host-report.ts';
import {
  parsePolicyTrace,
  policyTraceToJson,
  type TraceAnswer,
  type TraceQuestion,
} from '../../objects/policy-trace.ts';
import { HOST_REPORTS, POLICY_TRACES } from '../../objects/resources.ts';

/** What asking hosts needs of an API server. */
export type AskingClient = Pick<KubeClient, 'create' | 'get' | 'delete'>;

/** What came of a question: an answer, or why there is none. */
export interface Asked {
  readonly question: TraceQuestion;
  readonly answer?: TraceAnswer;
  /** Where there is no answer. */
  readonly silence?: string;
}

/** An agent that lives answers within some milliseconds. */
const ANSWER_MS = 5_000;
const LOOK_MS = 20;

/**
 * Asks the agents of hosts what their kernels do, all at once, and takes the questions away again.
 *
 * @throws ApiError when the API server does not let the user ask; Error when the cluster can't be asked at all.
 */
export function askHosts(
  questions: readonly TraceQuestion[],
  client: AskingClient,
  clock: Clock,
): Promise<readonly Asked[]> {
  return Promise.all(questions.map((question) => ask(question, client, clock)));
}

async function ask(question: TraceQuestion, client: AskingClient, clock: Clock): Promise<Asked> {
  const { name } = identityOf(await make(question, client));
  const end = clock.now() + ANSWER_MS;
  try {
    do {
      const trace = parsePolicyTrace(await client.get(POLICY_TRACES, name));
      if (trace.ok && trace.value.answer !== undefined) return { question, answer: trace.value.answer };
      await clock.sleep(LOOK_MS);
    } while (clock.now() < end);
    return { question, silence: await silenceOf(question.host, client, clock) };
  } finally {
    // What is left, the controller removes.
    await client.delete(POLICY_TRACES, name).catch(() => undefined);
  }
}

async function make(question: TraceQuestion, client: AskingClient): Promise<unknown> {
  try {
    return await client.create(POLICY_TRACES, policyTraceToJson(question));
  } catch (error) {
    if (!isNotFound(error)) throw error;
    throw new Error('--live: the cluster has no PolicyTraces: its Romana is of an older version, or there is none', {
      cause: error,
    });
  }
}

/** Why a host may not have answered. */
async function silenceOf(host: string, client: AskingClient, clock: Clock): Promise<string> {
  const none = `no answer within ${ANSWER_MS / 1_000} s`;
  const report = await client.get(HOST_REPORTS, host).then(parseHostReport, (error: unknown) => {
    if (isNotFound(error) || isStatus(error, 403)) return undefined;
    throw error;
  });
  const reportedAt = report?.ok === true ? report.value.reportedAt : undefined;
  if (reportedAt === undefined) return `${none}; its agent has told nothing yet`;
  const seconds = Math.max(0, Math.round((clock.now() - Date.parse(reportedAt)) / 1_000));
  return `${none}; its agent reported last ${seconds} s ago`;
}
