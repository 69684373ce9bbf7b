import { DELETION, UPDATES } from './changes.ts';
import { CREATION, METADATA } from './creation.ts';
import { LISTS, WATCHES } from './lists.ts';
import { NETWORK_POLICIES } from './network-policies.ts';
import { DISCOVERY, EVENT, LEASE, NAMESPACE, NODE } from './other-kinds.ts';
import { POD } from './pods.ts';
import type { Scene } from './scene.ts';
import { SCHEMAS } from './schemas.ts';

/** All scenes, by what they are about. */
export const SCENES: Readonly<Record<string, Scene>> = {
  creation: CREATION,
  metadata: METADATA,
  schemas: SCHEMAS,
  updates: UPDATES,
  deletion: DELETION,
  lists: LISTS,
  watches: WATCHES,
  pods: POD,
  networkPolicies: NETWORK_POLICIES,
  nodes: NODE,
  leases: LEASE,
  events: EVENT,
  namespaces: NAMESPACE,
  discovery: DISCOVERY,
};
