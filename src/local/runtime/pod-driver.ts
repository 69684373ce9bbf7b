import type { Recipe } from './images.ts';
import type { ContainerSpec, PodSpec } from './pod-spec.ts';
import type { ContainerRecord, ExitRecord, SandboxRecord } from './pod-record.ts';

/** A sandbox that is there. */
export interface Sandbox {
  readonly record: SandboxRecord;
  /** Resolves when the process that holds it is gone. */
  readonly gone: Promise<void>;
}

/** A container that was started. */
export interface Container {
  readonly record: ContainerRecord;
  /** Resolves when it ended. Never rejects. */
  readonly exited: Promise<ExitRecord>;
  /** Sends a signal to its process 1. */
  signal(signal: 'SIGTERM' | 'SIGKILL'): void;
}

/** What pod workers need of the machine: namespaces, processes and CNI. */
export interface PodDriver {
  /** A record for a sandbox to come, so that whatever is made of it can be removed by it. */
  planSandbox(pod: PodSpec): SandboxRecord;
  /** Makes a planned sandbox; throws saying why not, and then `removeSandbox` is owed. */
  createSandbox(pod: PodSpec, planned: SandboxRecord): Promise<Sandbox>;
  /** The sandbox of a record, if it is still there. */
  adoptSandbox(record: SandboxRecord): Sandbox | undefined;
  /** Ends everything in a sandbox and removes it. Throws when CNI can't let go of it yet; to be repeated then. */
  removeSandbox(pod: Pick<PodSpec, 'namespace' | 'name' | 'uid'>, record: SandboxRecord): Promise<void>;
  /** Starts a container; throws when that is not possible. */
  startContainer(
    pod: PodSpec,
    sandbox: SandboxRecord,
    container: ContainerSpec,
    recipe: Recipe,
    restartCount: number,
  ): Promise<Container>;
  /** The container of a record: running, or ended meanwhile. */
  adoptContainer(pod: Pick<PodSpec, 'uid'>, record: ContainerRecord): Container;
  /** Removes the files of a pod that is gone. */
  forget(pod: Pick<PodSpec, 'uid' | 'namespace' | 'name'>): void;
}
