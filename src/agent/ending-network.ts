import { type CniError, cniError, cniErrorOf } from '../cni/errors.ts';
import type { Attachment } from '../cni/request.ts';
import { err, ok, type Result } from '../lib/result.ts';
import type { Lease } from '../plan/snapshot.ts';
import { hostInterfaceName } from './attachment-names.ts';
import type { LeaseStore } from './leases.ts';

/** What an ending network stands on. */
export interface EndingNetworkOptions {
  readonly leases: Pick<LeaseStore, 'withState' | 'damaged' | 'remove'>;
  /** Removes an interface; one that is not there counts as removed. */
  readonly remove: (hostInterface: string) => Promise<void>;
}

/** What the node's runtime is told of a network that is being removed: pods may leave, and none may come. */
export class EndingNetwork {
  readonly #options: EndingNetworkOptions;

  constructor(options: EndingNetworkOptions) {
    this.#options = options;
  }

  /** Why no pod can be connected. */
  readonly refusal: CniError = cniError('notAvailable', 'Romana is being removed from this node');

  /** The attachments that are still there, of files that cannot be read as far as is known. */
  get attached(): readonly Lease[] {
    const { leases } = this.#options;
    const damaged = leases.damaged().flatMap(({ lease }) => (lease === undefined ? [] : [lease]));
    return [...leases.withState('adding', 'active', 'leaving'), ...damaged];
  }

  /** Always refused, to be tried again: another network will take its place. */
  async add(): Promise<Result<never, CniError>> {
    return err(this.refusal);
  }

  /** Takes an attachment away, or finds it gone. */
  async del(attachment: Attachment): Promise<Result<undefined, CniError>> {
    const hostInterface = hostInterfaceName(attachment);
    const { leases, remove } = this.#options;
    try {
      await remove(hostInterface);
      leases.remove(hostInterface);
      return ok(undefined);
    } catch (error) {
      return err(cniErrorOf(error, `could not remove the interface ${hostInterface}`));
    }
  }

  /** Always refused. */
  async check(): Promise<Result<undefined, CniError>> {
    return err(this.refusal);
  }

  /** Leaves everything to DEL. */
  async gc(): Promise<Result<undefined, CniError>> {
    return ok(undefined);
  }
}
