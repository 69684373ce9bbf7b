import type { ContainerSpec, FormerContainer, PodSpec } from './pod-spec.ts';

/** Why a container does not run. */
export interface Waiting {
  readonly kind: 'waiting';
  readonly reason: string;
  readonly message?: string;
}

/** Since when a container runs. */
export interface Running {
  readonly kind: 'running';
  readonly startedAt: string;
}

/** How a container ended. */
export interface Terminated {
  readonly kind: 'terminated';
  readonly exitCode: number;
  readonly startedAt: string;
  readonly finishedAt: string;
  /** Why it ended, when its exit status does not say. */
  readonly reason?: string;
}

/** What is known of a container. */
export interface ContainerObservation {
  readonly state: Waiting | Running | Terminated;
  readonly last?: Terminated;
  readonly id: string;
  readonly restartCount: number;
}

/** What is known of a pod. */
export interface PodObservation {
  readonly startTime: string;
  readonly hostAddresses: readonly string[];
  readonly addresses: readonly string[];
  readonly sandboxReady: boolean;
  readonly initialized: boolean;
  /** Every container ended and none is started again. */
  readonly finished: boolean;
  readonly containers: ReadonlyMap<string, ContainerObservation>;
}

/**
 * What is known of a container that was there when its node went off. How it ended nobody saw, unless the API server
 * was told; then it is said as Kubernetes says it.
 */
export function lostContainer({ restartCount, startedAt, end }: FormerContainer, now: string): ContainerObservation {
  const last: Terminated = {
    kind: 'terminated',
    startedAt,
    ...(end ?? { exitCode: 255, finishedAt: now, reason: 'Unknown' }),
  };
  return { state: { kind: 'waiting', reason: 'ContainerCreating' }, last, id: '', restartCount };
}

/** A condition as the API server has it. */
type ConditionJson = Readonly<Record<string, unknown>>;

/**
 * The status of a pod (https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/).
 *
 * @param before the conditions that were reported last: their transition times stay while their status does.
 * @param now RFC 3339.
 */
export function podStatus(pod: PodSpec, seen: PodObservation, before: readonly ConditionJson[], now: string): object {
  const phase = phaseOf(pod, seen);
  const ready = phase === 'Running' && pod.containers.every((c) => stateOf(seen, c) === 'running');
  const condition = (type: string, status: boolean, reason: string): ConditionJson => {
    const text = status ? 'True' : 'False';
    const old = before.find((candidate) => candidate['type'] === type);
    const lastTransitionTime = old?.['status'] === text ? old['lastTransitionTime'] : now;
    return { type, status: text, lastTransitionTime, ...(status ? {} : { reason }) };
  };
  const notReady = seen.finished ? (phase === 'Succeeded' ? 'PodCompleted' : 'PodFailed') : 'ContainersNotReady';
  const hostIPs = seen.hostAddresses.map((ip) => ({ ip }));
  const podIPs = seen.addresses.map((ip) => ({ ip }));
  return {
    phase,
    conditions: [
      ...pod.conditions,
      condition('PodReadyToStartContainers', seen.sandboxReady, 'SandboxNotReady'),
      condition('Initialized', seen.initialized, 'ContainersNotInitialized'),
      condition('ContainersReady', ready, notReady),
      condition('Ready', ready, notReady),
    ],
    startTime: seen.startTime,
    ...(hostIPs[0] === undefined ? {} : { hostIP: hostIPs[0].ip, hostIPs }),
    ...(podIPs[0] === undefined ? {} : { podIP: podIPs[0].ip, podIPs }),
    ...(pod.initContainers.length === 0
      ? {}
      : { initContainerStatuses: pod.initContainers.map((c) => containerStatus(c, seen, endedWell(seen, c))) }),
    containerStatuses: pod.containers.map((c) => containerStatus(c, seen, stateOf(seen, c) === 'running')),
  };
}

/** Running from the first start of a container until all have ended for good. */
export function phaseOf(pod: PodSpec, seen: PodObservation): string {
  if (seen.finished) {
    const all = [...pod.initContainers, ...pod.containers];
    return all.every((container) => endedWell(seen, container)) ? 'Succeeded' : 'Failed';
  }
  const started = pod.containers.some((container) => {
    const observation = seen.containers.get(container.name);
    return observation !== undefined && (observation.state.kind !== 'waiting' || observation.last !== undefined);
  });
  return started ? 'Running' : 'Pending';
}

function stateOf(seen: PodObservation, container: ContainerSpec): string {
  return seen.containers.get(container.name)?.state.kind ?? 'waiting';
}

function endedWell(seen: PodObservation, container: ContainerSpec): boolean {
  const state = seen.containers.get(container.name)?.state;
  return state?.kind === 'terminated' && state.exitCode === 0;
}

function containerStatus(container: ContainerSpec, seen: PodObservation, ready: boolean): object {
  const observation = seen.containers.get(container.name);
  const state = observation?.state ?? {
    kind: 'waiting',
    reason: seen.initialized ? 'ContainerCreating' : 'PodInitializing',
  };
  const id = observation?.id ?? '';
  return {
    name: container.name,
    image: container.image,
    imageID: id === '' ? '' : container.image,
    ...(id === '' ? {} : { containerID: `romana://${id}` }),
    ready,
    started: state.kind === 'running',
    restartCount: observation?.restartCount ?? 0,
    state: stateJson(state, id),
    lastState: observation?.last === undefined ? {} : stateJson(observation.last, id),
  };
}

function stateJson(state: Waiting | Running | Terminated, id: string): object {
  switch (state.kind) {
    case 'waiting':
      return { waiting: { reason: state.reason, ...(state.message === undefined ? {} : { message: state.message }) } };
    case 'running':
      return { running: { startedAt: state.startedAt } };
    case 'terminated': {
      const { exitCode, startedAt, finishedAt } = state;
      const reason = state.reason ?? (exitCode === 0 ? 'Completed' : 'Error');
      const container = id === '' ? {} : { containerID: `romana://${id}` };
      return { terminated: { exitCode, reason, startedAt, finishedAt, ...container } };
    }
    default:
      return state satisfies never;
  }
}
