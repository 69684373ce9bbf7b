import type { Container, PodDriver, Sandbox } from './pod-driver.ts';
import type { ContainerRecord, ExitRecord, PodRecord, RecordStore, SandboxRecord } from './pod-record.ts';

/** A container of the fake driver. */
export interface FakeContainer {
  readonly record: ContainerRecord;
  readonly signals: string[];
  /** Ends it with this status. */
  exit(code: number): void;
}

/** Pods that exist in memory only, with every step under a test's control. */
export class FakeDriver implements PodDriver {
  /** What was done, a word and a name each. */
  readonly steps: string[] = [];
  readonly containers: FakeContainer[] = [];
  /** How many of the next calls fail. */
  readonly failures = { create: 0, remove: 0, start: 0 };
  /** Whether containers end at SIGTERM; at SIGKILL they always do. */
  obedient = true;
  readonly #now: () => string;
  readonly #sandboxes = new Map<string, () => void>();
  readonly #running = new Map<string, Container>();
  #count = 0;

  constructor(now: () => string) {
    this.#now = now;
  }

  planSandbox(): SandboxRecord {
    this.#count += 1;
    return { id: `sandbox${this.#count}`, netns: `/netns/${this.#count}`, pid: 0, startTime: '', addresses: [] };
  }

  createSandbox(_pod: unknown, planned: SandboxRecord): Promise<Sandbox> {
    if (this.#fails('create')) return Promise.reject(new Error('no sandbox today'));
    this.steps.push(`create ${planned.id}`);
    const record = { ...planned, pid: this.#count, startTime: '1', addresses: ['10.0.0.1', 'fd00::1'] };
    const gone = Promise.withResolvers<void>();
    this.#sandboxes.set(record.id, gone.resolve);
    return Promise.resolve({ record, gone: gone.promise });
  }

  adoptSandbox(record: SandboxRecord): Sandbox | undefined {
    return this.#sandboxes.has(record.id) ? { record, gone: new Promise(() => undefined) } : undefined;
  }

  removeSandbox(_pod: unknown, record: SandboxRecord): Promise<void> {
    if (this.#fails('remove')) return Promise.reject(new Error('DEL failed'));
    this.steps.push(`remove ${record.id}`);
    this.#sandboxes.delete(record.id);
    return Promise.resolve();
  }

  startContainer(
    _pod: unknown,
    sandbox: SandboxRecord,
    container: { readonly name: string },
    recipe: { readonly env: Readonly<Record<string, string>> },
    restartCount: number,
  ): Promise<Container> {
    if (this.#fails('start')) return Promise.reject(new Error('no container today'));
    this.steps.push(`start ${container.name}`);
    this.#count += 1;
    const record: ContainerRecord = {
      name: container.name,
      id: `container${this.#count}`,
      sandboxId: sandbox.id,
      pid: this.#count,
      startTime: '1',
      startedAt: this.#now(),
      restartCount,
      env: recipe.env,
      workingDir: '/',
    };
    const exited = Promise.withResolvers<ExitRecord>();
    const signals: string[] = [];
    const exit = (code: number): void => exited.resolve({ code, finishedAt: this.#now() });
    this.containers.push({ record, signals, exit });
    const made: Container = {
      record,
      exited: exited.promise,
      signal: (signal) => {
        signals.push(signal);
        if (signal === 'SIGKILL' || this.obedient) exit(signal === 'SIGKILL' ? 137 : 0);
      },
    };
    this.#running.set(record.id, made);
    return Promise.resolve(made);
  }

  adoptContainer(_pod: unknown, record: ContainerRecord): Container {
    const known = this.#running.get(record.id);
    if (known !== undefined) return known;
    return { record, exited: Promise.resolve({ code: 137, finishedAt: this.#now() }), signal: () => undefined };
  }

  forget(): void {
    this.steps.push('forget');
  }

  /** The process that holds the sandbox dies. */
  loseSandbox(id: string): void {
    this.#sandboxes.get(id)?.();
    this.#sandboxes.delete(id);
  }

  #fails(what: keyof FakeDriver['failures']): boolean {
    if (this.failures[what] === 0) return false;
    this.failures[what] -= 1;
    return true;
  }
}

/** Records in memory. */
export function memoryRecords(): RecordStore & { readonly all: ReadonlyMap<string, PodRecord> } {
  const all = new Map<string, PodRecord>();
  return {
    all,
    save: (record) => void all.set(record.uid, record),
    remove: (uid) => void all.delete(uid),
    load: () => [...all.values()],
  };
}
