import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Selection } from '../kube/client.ts';
import { asRecord } from '../kube/json.ts';
import { FileCopy } from '../kube/kept-copy.ts';
import type { Log } from '../lib/log.ts';
import { PODS, type Resource } from '../objects/resources.ts';
import { writeFileAtomically } from './atomic-file.ts';

/** Of a longer list no copy is kept: some 20 MB of memory. */
const MAX_OBJECTS = 20_000;
/** Copies of pods that policies name as peers; the selection is in the name. */
const PEERS = 'peers-';

/** One word that outlives the process. */
export interface KeptWord {
  /** '' when there is none. */
  recall(): string;
  keep(word: string): void;
}

/**
 * What an agent knows of the cluster, in files that a reboot clears, so that one that starts while the API server is
 * away goes on where the last one ended: pods that were known get their addresses, under the policy that was known.
 * No credentials are in it, and of pods nothing but what decides verdicts.
 */
export class Known {
  readonly #directory: string;
  readonly #log: Log;

  /** @param directory on a file system that a reboot clears; made when first needed, for root alone. */
  constructor(directory: string, log: Log) {
    this.#directory = directory;
    this.#log = log;
  }

  /** The copy of what is always watched. */
  copyOf(resource: Resource): FileCopy {
    return this.#copy(resource, `${resource.plural}.${resource.group === '' ? 'core' : resource.group}`);
  }

  /** The copy of the pods of a selection that policies name. */
  copyOfPeers(selection: Selection): FileCopy {
    return this.#copy(PODS, peersName(selection));
  }

  /** Removes the copies of all other selections. */
  keepPeers(selections: readonly Selection[]): void {
    const wanted = new Set(selections.map(peersName));
    for (const name of this.#names()) {
      const copy = name.replace(/\.new$/, '');
      if (copy.startsWith(PEERS) && !wanted.has(copy)) rmSync(join(this.#directory, name), { force: true });
    }
  }

  /** The word under a name. */
  word(name: string): KeptWord {
    const path = join(this.#directory, name);
    return {
      recall: () => {
        try {
          return readFileSync(path, 'utf8');
        } catch {
          return '';
        }
      },
      keep: (word) => {
        try {
          mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
          writeFileAtomically(path, word, 0o600);
        } catch (error) {
          this.#log.warn({ err: error, path }, 'could not keep what is known for the next start');
        }
      },
    };
  }

  #copy(resource: Resource, name: string): FileCopy {
    const slim = resource === PODS ? slimPod : slimObject;
    return new FileCopy({ path: join(this.#directory, name), slim, maxObjects: MAX_OBJECTS, log: this.#log });
  }

  #names(): readonly string[] {
    try {
      return readdirSync(this.#directory);
    } catch {
      return []; // nothing was kept yet
    }
  }
}

function peersName({ namespace = '', labelSelector = '' }: Selection): string {
  return PEERS + createHash('sha256').update(`${namespace}?${labelSelector}`).digest('hex').slice(0, 32);
}

/** An object without what only other programs read: who wrote which field, and what kubectl applied last. */
export function slimObject(json: unknown): unknown {
  const object = asRecord(json);
  const meta = asRecord(object?.['metadata']);
  if (object === undefined || meta === undefined) return json;
  const { managedFields: _, annotations, ...metadata } = meta;
  const { [LAST_APPLIED]: __, ...kept } = asRecord(annotations) ?? {};
  return { ...object, metadata: annotations === undefined ? metadata : { ...metadata, annotations: kept } };
}

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** A pod with what `parsePod` reads alone: its environment and arguments may hold what is nobody's business. */
export function slimPod(json: unknown): unknown {
  const pod = asRecord(slimObject(json));
  if (pod === undefined) return json;
  const { spec, status, ...rest } = pod;
  return {
    ...rest,
    ...(spec === undefined ? {} : { spec: slimSpec(spec) }),
    ...(status === undefined ? {} : { status: pick(status, ['phase', 'podIP', 'podIPs']) }),
  };
}

function slimSpec(spec: unknown): unknown {
  const kept = pick(spec, ['nodeName', 'hostNetwork', 'serviceAccountName', 'containers', 'initContainers']);
  const fields = asRecord(kept);
  if (fields === undefined) return kept;
  const containers = Object.entries(fields).map(([name, value]) => [
    name,
    Array.isArray(value) ? value.map((item: unknown) => pick(item, ['name', 'restartPolicy', 'ports'])) : value,
  ]);
  return Object.fromEntries(containers);
}

/** The fields of an object that have these names; anything else is as it is, for a parser to complain of. */
function pick(value: unknown, names: readonly string[]): unknown {
  const record = asRecord(value);
  if (record === undefined) return value;
  return Object.fromEntries(names.flatMap((name) => (name in record ? [[name, record[name]]] : [])));
}
