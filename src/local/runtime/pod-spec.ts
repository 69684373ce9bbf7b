import { parsePositive } from './numbers.ts';
import { type FieldError, type Parsed } from '../../objects/meta.ts';
import type { JsonObject } from '../../objects/field.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import { podCapabilities } from './pod-capabilities.ts';
import { at, objectsAt, stringsAt, textAt } from '../kube-json.ts';

/** A container as the runtime starts it. */
export interface ContainerSpec {
  readonly name: string;
  readonly image: string;
  readonly command: readonly string[] | undefined;
  readonly args: readonly string[] | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly workingDir: string;
}

/** When containers are started again. */
export type RestartPolicy = 'Always' | 'OnFailure' | 'Never';

/** What the runtime reads of a Pod. */
export interface PodSpec {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly hostNetwork: boolean;
  readonly hostname: string;
  /** What it asks of CNI plugins, or why that cannot be read. */
  readonly capabilities: Result<JsonObject>;
  readonly restartPolicy: RestartPolicy;
  readonly initContainers: readonly ContainerSpec[];
  readonly containers: readonly ContainerSpec[];
  /** Seconds between asking its containers to end and ending them, as it says. */
  readonly graceSeconds: number;
  /** The same once it is to be deleted; undefined before. */
  readonly deletionGraceSeconds: number | undefined;
  /** status.phase as the API server has it. */
  readonly phase: string;
  /** status.conditions that others wrote, such as PodScheduled. */
  readonly conditions: readonly Readonly<Record<string, unknown>>[];
  /** status.conditions that the runtime reported last. */
  readonly reported: readonly Readonly<Record<string, unknown>>[];
  /** status.startTime, '' before the first report. */
  readonly startTime: string;
  /** Of its containers, by name: those that have been started, as the API server has them. */
  readonly former: ReadonlyMap<string, FormerContainer>;
}

/** What the API server has of a container that was started. */
export interface FormerContainer {
  readonly restartCount: number;
  /** RFC 3339. */
  readonly startedAt: string;
  /** How it ended, if it is said to have. */
  readonly end?: { readonly exitCode: number; readonly finishedAt: string };
}

const OUR_CONDITIONS = new Set(['Initialized', 'Ready', 'ContainersReady', 'PodReadyToStartContainers']);
const DEFAULT_GRACE_SECONDS = 30;

/** Reads a Pod. The API server has checked it, so only what must be there for its identity is an error. */
export function parsePodSpec(json: unknown): Parsed<PodSpec> {
  const faults: FieldError[] = ['uid', 'namespace', 'name']
    .filter((key) => textAt(json, 'metadata', key) === '')
    .map((key) => ({ field: `metadata.${key}`, message: 'is required' }));
  if (faults.length > 0) return err(faults);
  const name = textAt(json, 'metadata', 'name');
  const graceSeconds = parsePositive(at(json, 'spec', 'terminationGracePeriodSeconds')) ?? DEFAULT_GRACE_SECONDS;
  const deleted = textAt(json, 'metadata', 'deletionTimestamp') !== '';
  const policy = textAt(json, 'spec', 'restartPolicy');
  return ok({
    uid: textAt(json, 'metadata', 'uid'),
    namespace: textAt(json, 'metadata', 'namespace'),
    name,
    hostNetwork: at(json, 'spec', 'hostNetwork') === true,
    hostname: textAt(json, 'spec', 'hostname') || name.slice(0, 63),
    capabilities: podCapabilities(json),
    restartPolicy: policy === 'OnFailure' || policy === 'Never' ? policy : 'Always',
    initContainers: objectsAt(json, 'spec', 'initContainers').map((container) => readContainer(json, container)),
    containers: objectsAt(json, 'spec', 'containers').map((container) => readContainer(json, container)),
    deletionGraceSeconds: deleted
      ? (parsePositive(at(json, 'metadata', 'deletionGracePeriodSeconds')) ?? graceSeconds)
      : undefined,
    phase: textAt(json, 'status', 'phase') || 'Pending',
    conditions: objectsAt(json, 'status', 'conditions').filter(({ type }) => !OUR_CONDITIONS.has(String(type))),
    reported: objectsAt(json, 'status', 'conditions').filter(({ type }) => OUR_CONDITIONS.has(String(type))),
    startTime: textAt(json, 'status', 'startTime'),
    graceSeconds,
    former: new Map(['initContainerStatuses', 'containerStatuses'].flatMap((key) => formerContainers(json, key))),
  });
}

function formerContainers(json: unknown, key: string): [string, FormerContainer][] {
  return objectsAt(json, 'status', key)
    .filter((status) => textAt(status, 'containerID') !== '')
    .map((status) => {
      const ended = at(status, 'state', 'terminated');
      const exitCode = parsePositive(at(ended, 'exitCode'));
      const former = {
        restartCount: parsePositive(at(status, 'restartCount')) ?? 0,
        startedAt: textAt(ended ?? at(status, 'state', 'running'), 'startedAt'),
        ...(exitCode === undefined ? {} : { end: { exitCode, finishedAt: textAt(ended, 'finishedAt') } }),
      };
      return [textAt(status, 'name'), former];
    });
}

function readContainer(pod: unknown, json: unknown): ContainerSpec {
  const env: Record<string, string> = {};
  for (const variable of objectsAt(json, 'env')) {
    const fieldPath = textAt(variable, 'valueFrom', 'fieldRef', 'fieldPath');
    const value = fieldPath === '' ? textAt(variable, 'value') : fieldValue(pod, fieldPath);
    env[textAt(variable, 'name')] = value;
  }
  return {
    name: textAt(json, 'name'),
    image: textAt(json, 'image'),
    command: nonEmpty(stringsAt(json, 'command')),
    args: nonEmpty(stringsAt(json, 'args')),
    env,
    workingDir: textAt(json, 'workingDir') || '/',
  };
}

/** The downward API's fields that a pod has before it starts; others are ''. */
function fieldValue(pod: unknown, path: string): string {
  const key = /^metadata\.(?:labels|annotations)\['(.*)'\]$/.exec(path)?.[1];
  if (key !== undefined) return textAt(pod, 'metadata', path.startsWith('metadata.l') ? 'labels' : 'annotations', key);
  return textAt(pod, ...path.split('.'));
}

function nonEmpty(list: readonly string[] | undefined): readonly string[] | undefined {
  return list === undefined || list.length === 0 ? undefined : list;
}
