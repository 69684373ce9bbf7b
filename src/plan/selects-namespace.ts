import { EVERYTHING } from '../objects/selector.ts';
import type { Answer } from '../objects/selector.ts';
import { selects } from '../policy/match.ts';
import type { PodSelection } from '../policy/model.ts';
import type { Snapshot } from './snapshot.ts';

/** Whether `namespaces` names the namespace, by its labels of today, as the oracle has it. */
export function selectsNamespace(snapshot: Snapshot, namespaces: PodSelection['namespaces'], name: string): Answer {
  if (namespaces.kind === 'names') return namespaces.names.includes(name) ? 'yes' : 'no';
  const world = { segmentLabel: snapshot.network.segmentLabel, namespaces: snapshot.namespaces };
  return selects(world, { namespaces, pods: EVERYTHING }, { ...ANY_POD, namespace: name });
}

const ANY_POD = { kind: 'pod', name: '', node: '', labels: new Map(), known: 'all', addresses: [], ports: [] } as const;
