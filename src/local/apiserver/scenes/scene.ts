import { arrayAt, at, isObject, objectAt, textAt, type JsonObject } from '../api-object.ts';
import type { ContractClient, RequestOptions } from '../contract-client.ts';

/** One request of a scene. In its path and in texts of its body, `NS` is the scene's namespace. */
export interface Request extends RequestOptions {
  readonly send: `${'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'} ${string}`;
  /** JSON, a text that is sent as it is, or a function of the answers before. */
  readonly body?: unknown;
  /** The paths in a good answer that count; all of it when not given. */
  readonly show?: readonly string[];
  /** Why only code and reason of the answers are the same. */
  readonly loosely?: string;
  /** How ours answers instead, by design: its code, and why. */
  readonly ours?: { readonly code: number; readonly why: string };
}

/** Requests that are sent one after the other, in a namespace of their own. */
export type Scene = readonly Request[];

/** An answer as it is compared: without what differs from one run to the next. */
export interface SceneAnswer {
  readonly request: string;
  readonly code: number;
  readonly warnings?: readonly string[];
  readonly body: unknown;
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
const AGE = /^\d{1,2}s$/;
const UID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;

/** Fields that ours never has, and texts that are nobody's business. */
const UNTOLD = new Set(['managedFields', 'storageVersionHash']);

/** Puts names in the place of values that differ from one run to the next, the same for the same value. */
class Anonymizer {
  readonly #namespace: string;
  readonly #versions = new Map<string, string>();

  constructor(namespace: string) {
    this.#namespace = namespace;
  }

  value(value: unknown, key = ''): unknown {
    if (typeof value === 'string') return this.#text(key, value);
    if (Array.isArray(value)) return value.map((item) => this.value(item, key));
    if (!isObject(value)) return value;
    // A list's version is that of the whole server, which others change too.
    const list = Array.isArray(value['items']) || value['kind'] === 'Table';
    const entries = Object.entries(value)
      .filter(([name, item]) => this.#counts(key, name, item))
      .map(([name, item]): [string, unknown] =>
        list && name === 'metadata' && isObject(item)
          ? [name, this.value({ ...item, resourceVersion: '' })]
          : [name, this.value(item, name)],
      );
    return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
  }

  #counts(parent: string, name: string, value: unknown): boolean {
    if (UNTOLD.has(name) || (name === 'continue' && value === '')) return false;
    return parent !== 'columnDefinitions' || name !== 'description';
  }

  #text(key: string, text: string): string {
    if (key === 'resourceVersion') return text === '' ? '' : this.#versionName(text);
    if (key === 'continue') return 'token';
    if (TIME.test(text)) return 'time';
    if (AGE.test(text)) return 'age';
    return text
      .replaceAll(this.#namespace, 'NS')
      .replaceAll(UID, 'uid')
      .replaceAll(/in record \(\d+\)/g, 'in record (version)');
  }

  #versionName(version: string): string {
    const known = this.#versions.get(version);
    if (known !== undefined) return known;
    const name = `version ${this.#versions.size + 1}`;
    this.#versions.set(version, name);
    return name;
  }
}

/** Of several causes Kubernetes gives the order to chance, and it may say one twice. */
function ordered(status: JsonObject): JsonObject {
  const causes = [...new Set(arrayAt(status, 'details', 'causes').map((cause) => JSON.stringify(cause)))];
  if (causes.length === 0) return status;
  const sorted: unknown[] = causes.toSorted().map((cause) => JSON.parse(cause));
  const only = sorted.length === 1 ? `${textAt(sorted[0], 'field')}: ${textAt(sorted[0], 'message')}` : '...';
  const message = textAt(status, 'message').replace(/ is invalid: \[.*/s, () => ` is invalid: ${only}`);
  return { ...status, message, details: { ...objectAt(status, 'details'), causes: sorted } };
}

function shown(body: unknown, paths: readonly string[] | undefined): unknown {
  if (isObject(body) && body['kind'] === 'Status') return ordered(body);
  if (paths === undefined) return body;
  return Object.fromEntries(paths.map((path) => [path, at(body, ...stepsOf(path)) ?? null]));
}

function stepsOf(path: string): (string | number)[] {
  return path.split('.').map((step) => (/^\d+$/.test(step) ? Number(step) : step));
}

/** Plays a scene in `namespace`, which has to be there. */
export async function playScene(api: ContractClient, namespace: string, scene: Scene): Promise<SceneAnswer[]> {
  const anonymizer = new Anonymizer(namespace);
  const named = (part: string): string => part.replaceAll('NS', namespace);
  const before: JsonObject[] = [];
  const answers: SceneAnswer[] = [];
  for (const { send, body, show, loosely, ours: _, ...options } of scene) {
    const [method = '', path = ''] = named(send).split(' ');
    const given: unknown = typeof body === 'function' ? (body as (before: JsonObject[]) => unknown)(before) : body;
    const text = given === undefined || typeof given === 'string' ? given : JSON.stringify(given);
    const answer = await api.request(method, path, text === undefined ? undefined : named(text), options);
    before.push(answer.body);
    const anonymous = anonymizer.value(answer.body);
    answers.push({
      request: send,
      code: answer.code,
      ...(answer.warnings.length === 0 || loosely !== undefined ? {} : { warnings: answer.warnings }),
      body: loosely === undefined ? shown(anonymous, show) : { reason: answer.body['reason'] ?? null },
    });
  }
  return answers;
}
