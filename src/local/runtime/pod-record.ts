import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

/** Where the runtime keeps what it must not forget while the node runs. */
export const RUNTIME_DIRECTORY = '/run/romana-runtime';

/** Where the records of pods are. */
export const RECORDS_DIRECTORY = `${RUNTIME_DIRECTORY}/pods`;

/** How a container ended. */
export interface ExitRecord {
  /** 0 to 255; 128 + N after signal N. */
  readonly code: number;
  /** RFC 3339. */
  readonly finishedAt: string;
}

/** A container that was started. */
export interface ContainerRecord {
  readonly name: string;
  readonly id: string;
  /** The sandbox it was started in. */
  readonly sandboxId: string;
  /** Its process 1, in the node's pid namespace, with its start time (clock ticks after boot). */
  readonly pid: number;
  readonly startTime: string;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly restartCount: number;
  /** For processes that join it later. */
  readonly env: Readonly<Record<string, string>>;
  readonly workingDir: string;
  readonly exit?: ExitRecord;
}

/** A pod's sandbox: the namespaces that its containers share. */
export interface SandboxRecord {
  /** 64 hexadecimal digits, CNI_CONTAINERID. */
  readonly id: string;
  /** Path of its network namespace; '' for a hostNetwork pod. */
  readonly netns: string;
  /** The process that holds it; 0 until it was started. */
  readonly pid: number;
  readonly startTime: string;
  /** What CNI gave it. */
  readonly addresses: readonly string[];
}

/** What is on file about a pod from before its sandbox is made until after it is gone. */
export interface PodRecord {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly sandbox?: SandboxRecord;
  readonly containers: Readonly<Record<string, ContainerRecord>>;
}

/** Keeps records of pods. */
export interface RecordStore {
  save(record: PodRecord): void;
  remove(uid: string): void;
  load(): readonly PodRecord[];
}

/** Keeps records in files, one a pod, each whole or not at all. */
export function fileRecords(directory: string): RecordStore {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = (uid: string): string => `${directory}/${uid}.json`;
  return {
    save: (record) => {
      writeFileSync(`${file(record.uid)}.new`, JSON.stringify(record), { mode: 0o600 });
      renameSync(`${file(record.uid)}.new`, file(record.uid));
    },
    remove: (uid) => rmSync(file(uid), { force: true }),
    load: () =>
      readdirSync(directory)
        .filter((name) => name.endsWith('.json'))
        .map((name) => JSON.parse(readFileSync(`${directory}/${name}`, 'utf8')) as PodRecord),
  };
}
