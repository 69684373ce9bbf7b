import { netnsId } from '../kernel/netns.ts';
import type { Rtnl } from '../kernel/rtnl.ts';
import { isNotFound, type KubeClient } from '../kube/client.ts';
import { parsePod, type Pod, podFinished } from '../objects/pod.ts';
import { PODS } from '../objects/resources.ts';
import type { Lease } from '../plan/snapshot.ts';
import { isPod } from './pod-identities.ts';

/** What is left of an attachment, at one look. */
export interface Evidence {
  /** Whether the host's end of the veth is there; the kernel takes it away with the pod's namespace. */
  readonly link: boolean;
  /** Whether the path that ADD was told still leads to the same namespace. */
  readonly netns: 'there' | 'gone' | 'unknown';
  /** The pod in the API. A pod that was deleted by force is gone there and may run on. */
  readonly pod: 'there' | 'finished' | 'gone' | 'unknown';
}

/** What evidence is found by. */
export interface EvidenceOptions {
  /** Of the host's network namespace. */
  readonly rtnl: Pick<Rtnl, 'link' | 'links'>;
  readonly client: Pick<KubeClient, 'get'>;
  /** The pods of this node as the watch shows them, by namespace/name. */
  readonly pods: () => ReadonlyMap<string, Pod>;
}

/** Finds what is left of attachments. */
export class EvidenceFinder {
  readonly #options: EvidenceOptions;

  constructor(options: EvidenceOptions) {
    this.#options = options;
  }

  /** One look at the kernel's links for any number of leases. @throws KernelError */
  look(): (lease: Lease) => Evidence {
    const names = new Set(this.#options.rtnl.links().map(({ name }) => name));
    const pods = this.#options.pods();
    return (lease) => ({
      link: names.has(lease.hostInterface),
      netns: netnsOf(lease),
      pod: stateOf(pods.get(`${lease.namespace}/${lease.pod}`), lease.uid),
    });
  }

  /**
   * A look at one lease, with the pod as the API server has it: 'unknown' when that does not answer, and when it does
   * not matter, since nothing of the sandbox is there.
   */
  async recheck(lease: Lease): Promise<Evidence> {
    const { link, netns } = this.#inKernel(lease);
    const pod = link || netns !== 'gone' ? await this.#ask(lease) : 'unknown';
    return { ...this.#inKernel(lease), pod };
  }

  #inKernel(lease: Lease): Pick<Evidence, 'link' | 'netns'> {
    return { link: this.#options.rtnl.link(lease.hostInterface) !== undefined, netns: netnsOf(lease) };
  }

  async #ask({ namespace, pod, uid }: Lease): Promise<Evidence['pod']> {
    if (uid === '') return 'gone'; // nobody can say whose the lease was
    try {
      const parsed = parsePod(await this.#options.client.get(PODS, pod, namespace));
      return parsed.ok ? stateOf(parsed.value, uid) : 'unknown';
    } catch (error) {
      return isNotFound(error) ? 'gone' : 'unknown';
    }
  }
}

function stateOf(pod: Pod | undefined, uid: string): Evidence['pod'] {
  if (pod === undefined || !isPod(pod, uid)) return 'gone';
  return podFinished(pod) ? 'finished' : 'there';
}

function netnsOf({ origin }: Lease): Evidence['netns'] {
  if (origin === undefined || origin.netnsId === '') return 'unknown';
  try {
    return netnsId(origin.netns) === origin.netnsId ? 'there' : 'gone';
  } catch {
    return 'unknown';
  }
}
