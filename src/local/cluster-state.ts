import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import {
  type BaseDirectories,
  type ClusterKind,
  type ClusterLayout,
  clusterLayout,
  EMBEDDED,
  MAX_MINIONS,
  type Minion,
} from './cluster-layout.ts';

/** What is on file about a cluster while anything of it may exist. */
export interface ClusterState extends ClusterKind {
  /** In the order in which they joined. */
  readonly minions: readonly Minion[];
  /** Whether Romana came with it; without, nodes wait for a network that a person installs. */
  readonly romana: boolean;
  /** Address plans as text, in the order given. */
  readonly plans: readonly string[];
  /** Port of the API server on 127.0.0.1; 0 until it is open. */
  readonly port: number;
  /** Whether `up` came to its end. */
  readonly complete: boolean;
}

/** Puts the state on file, whole or not at all. */
export function writeState(layout: ClusterLayout, state: ClusterState): void {
  writeFileSync(`${layout.stateFile}.new`, `${JSON.stringify(state)}\n`, { mode: 0o600 });
  renameSync(`${layout.stateFile}.new`, layout.stateFile);
}

/** The state on file; undefined when there is none that can be read. */
export function readState(layout: ClusterLayout): ClusterState | undefined {
  let state: Partial<ClusterState>;
  try {
    state = JSON.parse(readFileSync(layout.stateFile, 'utf8')) as Partial<ClusterState>;
  } catch {
    return undefined;
  }
  const { minions, plans, port, complete, romana = true } = state;
  if (!Array.isArray(minions) || typeof port !== 'number' || typeof complete !== 'boolean') return undefined;
  const kind = { ...EMBEDDED, ...(state.flavour === undefined ? {} : { flavour: state.flavour }) };
  const families = Array.isArray(state.families) ? state.families : kind.families;
  return { ...kind, families, minions, plans: Array.isArray(plans) ? plans : [], port, complete, romana };
}

/** The layout of a cluster that is on file, with as many nodes as it has. */
export function recordedLayout(name: string, base: BaseDirectories): ClusterLayout {
  const state = readState(clusterLayout(name, MAX_MINIONS, base));
  return clusterLayout(name, state?.minions ?? MAX_MINIONS, base, state);
}
