import { Backoff } from '../../lib/backoff.ts';
import type { Clock } from '../../lib/clock.ts';
import { CoalescingRunner } from '../../lib/coalescing-runner.ts';
import type { Log } from '../../lib/log.ts';
import { runContainerLoop, StartError } from './container-loop.ts';
import { type ImageSources, resolveImage } from './images.ts';
import type { Limiter } from './limiter.ts';
import type { Container, PodDriver, Sandbox } from './pod-driver.ts';
import type { ContainerRecord, PodRecord, RecordStore } from './pod-record.ts';
import type { ContainerSpec, PodSpec, RestartPolicy } from './pod-spec.ts';
import { type ContainerObservation, lostContainer, podStatus } from './pod-status.ts';
import { raceAbort } from './race-abort.ts';

/** What pod workers tell the API server. */
export interface PodReports {
  /** Stores the status; a pod that is gone is no error. */
  status(pod: PodSpec, status: object): Promise<void>;
  /** Ends the deletion of a pod whose sandbox is gone; a pod that is gone is no error. */
  deleted(pod: PodSpec): Promise<void>;
  event(pod: PodSpec, type: 'Normal' | 'Warning', reason: string, message: string): void;
}

/** What pod workers need. */
export interface PodWorkerOptions {
  readonly driver: PodDriver;
  readonly images: ImageSources;
  readonly records: RecordStore;
  readonly reports: PodReports;
  /** Bounds how many sandboxes and containers are being made at once. */
  readonly limiter: Limiter;
  readonly hostAddresses: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
}

/** Waits between tries to make or to remove a sandbox, in milliseconds. */
const RETRY = { initialMs: 200, maxMs: 2_000 };

/** Takes one pod from its sandbox to its end. Pods don't wait for each other: each has a worker. */
export class PodWorker {
  /** Resolves when nothing of the pod is left on this node. Never rejects. */
  readonly done: Promise<void>;
  readonly #options: PodWorkerOptions;
  readonly #stop = new AbortController();
  readonly #kill = new AbortController();
  readonly #seen = new Map<string, ContainerObservation>();
  readonly #reporter: CoalescingRunner;
  #pod: PodSpec;
  #record: PodRecord;
  #startTime: string;
  #addresses: readonly string[] = [];
  #sandboxReady = false;
  #initialized: boolean;
  #finished = false;
  #removed = false;
  #leaving = false;
  /** Its containers went with the node's last life. */
  readonly #lost: boolean;
  #graceSeconds: number | undefined;
  #sent = '';
  #conditions: readonly Readonly<Record<string, unknown>>[];

  /** @param record what an earlier runtime left of this pod. */
  constructor(pod: PodSpec, record: PodRecord | undefined, options: PodWorkerOptions) {
    this.#pod = pod;
    this.#options = options;
    this.#record = record ?? { uid: pod.uid, namespace: pod.namespace, name: pod.name, containers: {} };
    this.#startTime = pod.startTime || this.#now();
    this.#conditions = pod.reported;
    this.#initialized = pod.initContainers.length === 0;
    this.#lost = record === undefined && pod.former.size > 0;
    if (this.#lost) for (const [name, former] of pod.former) this.#seen.set(name, lostContainer(former, this.#now()));
    this.#reporter = new CoalescingRunner(() => this.#sendStatus(), {
      clock: options.clock,
      onError: (error) => this.#log('warn', "could not report the pod's status", { err: error }),
    });
    this.done = this.#run().catch((error: unknown) => this.#log('error', 'pod worker failed', { err: error }));
    this.#follow();
  }

  /** The pod as it is wanted now. */
  update(pod: PodSpec): void {
    this.#pod = pod;
    this.#follow();
    if (this.#sent !== '') this.#reporter.markDirty();
  }

  /** The API server has no such pod any more: everything ends now. */
  remove(): void {
    this.#removed = true;
    this.#beginStop(0);
  }

  /** The node goes off: the pod ends by its grace, at most `maxGraceSeconds`, and stays the API server's. */
  async leave(maxGraceSeconds: number): Promise<void> {
    this.#leaving = true;
    this.#beginStop(Math.min(this.#pod.graceSeconds, maxGraceSeconds));
    await this.done;
  }

  #follow(): void {
    if (this.#pod.deletionGraceSeconds !== undefined) this.#beginStop(this.#pod.deletionGraceSeconds);
  }

  /** Asks for the end; a later call can only make the grace shorter. */
  #beginStop(graceSeconds: number): void {
    if (this.#graceSeconds !== undefined && this.#graceSeconds <= graceSeconds) return;
    this.#graceSeconds = graceSeconds;
    this.#stop.abort();
    if (graceSeconds === 0) return this.#kill.abort();
    this.#options.clock.sleep(graceSeconds * 1000, this.#kill.signal).then(
      () => this.#kill.abort(),
      () => undefined, // ended before its time
    );
  }

  async #run(): Promise<void> {
    const alreadyFinished = this.#pod.phase === 'Succeeded' || this.#pod.phase === 'Failed';
    if (!alreadyFinished) await this.#live();
    await this.#tearDown();
    if (!alreadyFinished) this.#report();
    await raceAbort(new Promise<never>(() => undefined), this.#stop.signal);
    this.#kill.abort();
    await this.#reporter.stop();
    await this.#endDeletion();
    if (this.#leaving) {
      await this.#sendStatus();
      return;
    }
    this.#options.driver.forget(this.#pod);
    this.#options.records.remove(this.#pod.uid);
  }

  async #endDeletion(): Promise<void> {
    const backoff = new Backoff(RETRY);
    while (!this.#removed && !this.#leaving) {
      try {
        await this.#options.reports.deleted(this.#pod);
        return;
      } catch (error) {
        this.#log('warn', "could not end the pod's deletion", { err: error });
        await this.#options.clock.sleep(backoff.next());
      }
    }
  }

  /** Runs the pod until all of its containers ended for good, or until it is to stop. */
  async #live(): Promise<void> {
    if (this.#lost && this.#pod.restartPolicy === 'Never') return this.#giveUp();
    while (!this.#stop.signal.aborted) {
      const sandbox = await this.#ensureSandbox();
      if (sandbox === undefined) return;
      const lost = new AbortController();
      void sandbox.gone.then(() => lost.abort());
      await this.#runContainers(sandbox, lost.signal);
      if (this.#stop.signal.aborted) return;
      if (!lost.signal.aborted) {
        this.#finished = true;
        return;
      }
      this.#event('Normal', 'SandboxChanged', 'Pod sandbox changed, it will be killed and re-created.');
      await this.#tearDown();
    }
  }

  /** What may not run again has failed. */
  #giveUp(): void {
    for (const [name, { last, ...seen }] of this.#seen) if (last) this.#seen.set(name, { ...seen, state: last });
    this.#finished = true;
  }

  async #ensureSandbox(): Promise<Sandbox | undefined> {
    const { driver, limiter, clock } = this.#options;
    const known = this.#record.sandbox;
    const adopted = known === undefined ? undefined : driver.adoptSandbox(known);
    if (adopted !== undefined) return this.#useSandbox(adopted);
    await this.#tearDown();
    const backoff = new Backoff(RETRY);
    while (!this.#stop.signal.aborted) {
      const planned = driver.planSandbox(this.#pod);
      this.#save({ sandbox: planned });
      try {
        return this.#useSandbox(await limiter.run(() => driver.createSandbox(this.#pod, planned)));
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        this.#event('Warning', 'FailedCreatePodSandBox', `Failed to create pod sandbox: ${message}`);
        await this.#tearDown();
        await clock.sleep(backoff.next(), this.#stop.signal).catch(() => undefined);
      }
    }
    return undefined;
  }

  #useSandbox(sandbox: Sandbox): Sandbox {
    this.#save({ sandbox: sandbox.record });
    this.#addresses = this.#pod.hostNetwork ? this.#options.hostAddresses : sandbox.record.addresses;
    this.#sandboxReady = true;
    this.#report();
    return sandbox;
  }

  async #runContainers(sandbox: Sandbox, lost: AbortSignal): Promise<void> {
    const { initContainers, containers, restartPolicy } = this.#pod;
    const initPolicy = restartPolicy === 'Always' ? 'OnFailure' : restartPolicy;
    for (const container of initContainers) {
      const code = await this.#runContainer(container, initPolicy, sandbox, lost);
      if (code !== 0) return; // stopped, lost, or failed for good
    }
    this.#initialized = true;
    this.#report();
    await Promise.all(containers.map((container) => this.#runContainer(container, restartPolicy, sandbox, lost)));
  }

  #runContainer(
    container: ContainerSpec,
    policy: RestartPolicy,
    sandbox: Sandbox,
    lost: AbortSignal,
  ): Promise<number | undefined> {
    const before = this.#record.containers[container.name];
    const formerly = before ?? this.#pod.former.get(container.name);
    const same = before !== undefined && before.sandboxId === sandbox.record.id;
    return runContainerLoop({
      container,
      policy,
      clock: this.#options.clock,
      start: (restartCount) => this.#start(container, sandbox, restartCount),
      adopted: same ? this.#options.driver.adoptContainer(this.#pod, before) : undefined,
      restartCount: formerly === undefined ? 0 : formerly.restartCount + 1,
      last: before === undefined ? this.#seen.get(container.name)?.last : undefined,
      observe: (observation) => {
        this.#seen.set(container.name, observation);
        this.#report();
      },
      ended: (ended, exit) => this.#saveContainer({ ...ended.record, exit }),
      event: (type, reason, message) => this.#event(type, reason, message),
      stop: AbortSignal.any([this.#stop.signal, lost]),
      kill: AbortSignal.any([this.#kill.signal, lost]),
    });
  }

  async #start(container: ContainerSpec, sandbox: Sandbox, restartCount: number): Promise<Container> {
    const { driver, images, limiter } = this.#options;
    const recipe = resolveImage(container, images);
    if (!recipe.ok) throw new StartError('ErrImagePull', `Failed to pull image "${container.image}": ${recipe.error}`);
    if (restartCount === 0)
      this.#event('Normal', 'Pulled', `Container image "${container.image}" already present on machine`);
    const started = await limiter.run(() =>
      driver.startContainer(this.#pod, sandbox.record, container, recipe.value, restartCount),
    );
    this.#saveContainer(started.record);
    this.#event('Normal', 'Created', `Created container ${container.name}`);
    this.#event('Normal', 'Started', `Started container ${container.name}`);
    return started;
  }

  /** Removes the sandbox, if there is one, however long that takes. */
  async #tearDown(): Promise<void> {
    const { driver, clock } = this.#options;
    const backoff = new Backoff(RETRY);
    for (let { sandbox } = this.#record; sandbox !== undefined; { sandbox } = this.#record) {
      for (const container of Object.values(this.#record.containers)) {
        // Those of an earlier runtime, which no loop of ours ends.
        if (container.exit === undefined) driver.adoptContainer(this.#pod, container).signal('SIGKILL');
      }
      try {
        await driver.removeSandbox(this.#pod, sandbox);
        const { sandbox: _, ...rest } = this.#record;
        this.#record = rest;
        this.#save({});
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        this.#event('Warning', 'FailedKillPod', `error killing pod: ${message}`);
        await clock.sleep(backoff.next());
      }
    }
    this.#sandboxReady = false;
  }

  #saveContainer(container: ContainerRecord): void {
    this.#save({ containers: { ...this.#record.containers, [container.name]: container } });
  }

  #save(change: Partial<PodRecord>): void {
    this.#record = { ...this.#record, ...change };
    this.#options.records.save(this.#record);
  }

  #report(): void {
    this.#reporter.markDirty();
  }

  async #sendStatus(): Promise<void> {
    if (this.#removed) return;
    const seen = {
      startTime: this.#startTime,
      hostAddresses: this.#options.hostAddresses,
      addresses: this.#addresses,
      sandboxReady: this.#sandboxReady,
      initialized: this.#initialized,
      finished: this.#finished,
      containers: this.#seen,
    };
    const status = podStatus(this.#pod, seen, this.#conditions, this.#now());
    const text = JSON.stringify(status);
    if (text === this.#sent && !this.#isOverwritten()) return;
    await this.#options.reports.status(this.#pod, status);
    this.#sent = text;
    this.#conditions = (status as { conditions: readonly Readonly<Record<string, unknown>>[] }).conditions;
  }

  /** Whether the API server has other conditions than were reported: it doubts those of a node that was silent. */
  #isOverwritten(): boolean {
    return this.#conditions.some(({ type, status }) =>
      this.#pod.reported.some((theirs) => theirs['type'] === type && theirs['status'] !== status),
    );
  }

  #event(type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.#log(type === 'Normal' ? 'info' : 'warn', message, { reason });
    if (!this.#removed) this.#options.reports.event(this.#pod, type, reason, message);
  }

  #log(level: 'info' | 'warn' | 'error', message: string, fields: object): void {
    this.#options.log[level](
      { pod: `${this.#pod.namespace}/${this.#pod.name}`, uid: this.#pod.uid, ...fields },
      message,
    );
  }

  /** RFC 3339 to the second, as the API server keeps it. */
  #now(): string {
    return new Date(this.#options.clock.now()).toISOString().replace(/\.\d+Z$/, 'Z');
  }
}
