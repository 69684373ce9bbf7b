import { FakeKubeClient } from '../kube/fake-client.ts';
import { unwrap } from '../lib/result.ts';
import { parseHostReport } from '../objects/host-report.ts';
import { parseHost } from '../objects/host.ts';
import { qualifiedName, type Meta, type Parsed } from '../objects/meta.ts';
import { parseNamespace } from '../objects/namespace.ts';
import { parseNode } from '../objects/node.ts';
import { parsePod } from '../objects/pod.ts';
import { HOST_REPORTS, HOSTS, NAMESPACES, NETWORKS, NODES, PODS, TENANTS } from '../objects/resources.ts';
import type { Resource } from '../objects/resources.ts';
import { parseTenant } from '../objects/tenant.ts';
import type { Policy } from '../policy/model.ts';
import { ID_CLAIMS, parseIdClaim } from '../objects/id-claim.ts';
import { parseObservedNetwork } from './network-status.ts';
import type { ClusterState } from './state.ts';

/** An API server in memory, whose time stands still, with what a controller makes of its objects. For tests. */
export class FakeApi extends FakeKubeClient {
  /** Policies are put in by hand, whatever their kind. */
  policies: readonly Policy[] = [];

  constructor() {
    super(() => 0);
  }

  /** What a controller that sees everything at once would know. */
  state(): ClusterState {
    return {
      network: this.read(NETWORKS, parseObservedNetwork).get('default'),
      nodes: this.read(NODES, parseNode),
      namespaces: this.read(NAMESPACES, parseNamespace),
      pods: this.read(PODS, parsePod),
      policies: this.policies,
      hosts: this.read(HOSTS, parseHost),
      tenants: this.read(TENANTS, parseTenant),
      reports: this.read(HOST_REPORTS, parseHostReport),
      claims: this.read(ID_CLAIMS, parseIdClaim),
      unreadable: new Set(),
      agentsReadable: true,
    };
  }

  /** The objects of one kind, parsed, by namespace/name. */
  read<T extends { meta: Meta }>(resource: Resource, parse: (json: unknown) => Parsed<T>): ReadonlyMap<string, T> {
    const values = this.store.all(resource).map((json) => unwrap(parse(json)));
    return new Map(values.map((value) => [qualifiedName(value.meta), value]));
  }

  /** The uids that the Network asks agents to acknowledge. */
  releases(): readonly string[] {
    const [network] = this.store.all(NETWORKS) as readonly { status?: { releases?: readonly string[] } }[];
    return network?.status?.releases ?? [];
  }
}
