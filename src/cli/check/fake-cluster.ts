import { FakeKubeClient } from '../../kube/fake-client.ts';
import { identityOf } from '../../kube/json.ts';
import { HOSTS, NETWORKS, NODES, PODS, type Resource } from '../../objects/resources.ts';
import { type ExecResult } from './check.ts';
import type { Order } from './orders.ts';

const DOORS = { open: { tcp: 7640, udp: 7640 }, shut: { tcp: 7641, udp: 7641 } };

/** How a fake cluster differs from one in which everything is as it should be. */
export interface Faults {
  /** What happens to an order of the pod of this name, if not what is expected. */
  readonly happens?: (pod: string, order: Order) => string | undefined;
  /** Pods that never run. */
  readonly stuck?: readonly string[];
  /** What an exec throws. */
  readonly exec?: (pod: string) => Error | undefined;
}

/** A cluster for tests of the check: pods run as soon as they are made, and what they are asked happens. */
export class FakeCluster extends FakeKubeClient {
  readonly #faults: Faults;
  #pods = 0;

  constructor(nodes: readonly string[], faults: Faults = {}, now: () => number = Date.now) {
    super(now);
    this.#faults = faults;
    const plans = [{ cidr: '10.0.0.0/8', hostBits: 8, tenantBits: 4, segmentBits: 4, endpointBits: 8 }];
    this.#put(NETWORKS, 'default', { spec: { plans } });
    for (const [id, name] of nodes.entries()) {
      const address = `192.168.99.${10 + id}`;
      this.#put(HOSTS, name, { spec: { id, ranges: [`10.${id}.0.0/16`], addresses: [address] } });
      const conditions = [{ type: 'Ready', status: 'True' }];
      this.#put(NODES, name, { status: { conditions, addresses: [{ type: 'InternalIP', address }] } });
    }
  }

  #put(resource: Resource, name: string, rest: object): void {
    this.store.create(
      resource,
      {
        apiVersion: resource.group === '' ? resource.version : `${resource.group}/${resource.version}`,
        kind: resource.kind,
        metadata: { name },
        ...rest,
      },
      '',
    );
  }

  override async create(resource: Resource, object: object, namespace?: string): Promise<unknown> {
    if (resource !== PODS) return await super.create(resource, object, namespace);
    this.#pods += 1;
    const runs = this.#faults.stuck?.includes(identityOf(object).name) !== true;
    const podIPs = [{ ip: `10.0.16.${this.#pods}` }];
    return await super.create(
      resource,
      { ...object, status: runs ? { phase: 'Running', podIPs } : { phase: 'Pending' } },
      namespace,
    );
  }

  /** The pod's log: where it listens. */
  override async raw(method: string, path: string): Promise<unknown> {
    const [, namespace = '', pod = ''] = /\/namespaces\/([^/]+)\/pods\/([^/]+)\/log$/.exec(path) ?? [];
    if (method !== 'GET' || pod === '') return await super.raw(method, path);
    const object = (await this.get(PODS, pod, namespace)) as { spec: { containers: { args: string[] }[] } };
    const args = object.spec.containers[0]?.args ?? [];
    const at = args.filter((_, i) => args[i - 1] === '--listen');
    return (at.length === 0 ? [''] : at).map((address) => ({ address, open: DOORS.open, shut: DOORS.shut }));
  }

  /** Runs `romana check-pod obey` in a pod. */
  readonly exec = async (_: string, pod: string, __: readonly string[], input: string): Promise<ExecResult> => {
    const failure = this.#faults.exec?.(pod);
    if (failure !== undefined) throw failure;
    const orders = JSON.parse(input) as readonly Order[];
    const answers = orders.map((order) => {
      const usual = order.kind === 'knock' ? 'dropped' : 'answered';
      return { id: order.id, happened: this.#faults.happens?.(pod, order) ?? usual, ms: 1 };
    });
    return { exitCode: 0, stdout: JSON.stringify(answers), stderr: '' };
  };
}
