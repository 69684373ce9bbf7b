import type { Address } from '../addr/address.ts';
import { type Plan, decode, gateway } from '../addr/plan.ts';
import { CniFailure, type CniError, cniError, cniErrorOf } from '../cni/errors.ts';
import type { Attachment, PodName } from '../cni/request.ts';
import { type CniResult, previousProblems } from '../cni/result.ts';
import { abortable } from '../lib/abortable.ts';
import type { BackoffLimits } from '../lib/backoff.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { type Result, err, ok } from '../lib/result.ts';
import type { Labels } from '../objects/meta.ts';
import type { Lease, Origin } from '../plan/snapshot.ts';
import type { AddressBook, Place } from './address-book.ts';
import { Calm } from './calm.ts';
import { attachmentMacs, hostInterfaceName } from './attachment-names.ts';
import { invalidLeases, type ValidAttachments } from './invalid-leases.ts';
import { KeyedQueue } from './keyed-queue.ts';
import type { LeaseStore } from './leases.ts';
import { Releases } from './releases.ts';

/**
 * The kernel's side of an attachment. Every step may be repeated; `detach` and `remove` succeed when there is nothing
 * to take away, since they also follow on steps that failed half way. What throws a `CniFailure` chooses the code of
 * the answer.
 */
export interface Datapath {
  /** Makes the veth with addresses, routes and neighbours; not up yet. Rejects when the namespace is not there. */
  prepare(lease: Lease, netnsPath: string): Promise<void>;
  /** Resolves when the pod's endpoint elements and policy are committed in the kernel. */
  enforce(lease: Lease): Promise<void>;
  /** Sets both ends up: the pod is on the network. */
  up(lease: Lease): void;
  /** Takes endpoint elements and routes out and the link down: the pod is off the network. Fast. */
  detach(lease: Lease): Promise<void>;
  /** Removes the link and then all conntrack entries of its addresses. May take its time. */
  remove(lease: Lease): Promise<void>;
  /** The namespace behind a path, as device and inode; '' when there is none. */
  netnsId(netnsPath: string): string;
  /** What of the attachment is not as it was made, one sentence each. */
  check(lease: Lease, netnsPath: string): readonly string[];
}

/** What a pod's place in the network is decided by, at the time its sandbox is made. */
export interface Identity extends Place {
  readonly labels: Labels;
  /** Value of the segment label, null without. */
  readonly segment: string | null;
  readonly plans: readonly Plan[];
}

/** Who pods are: from the cache, else the API server, else after a bounded wait, else error 11. */
export interface Identities {
  forPod(pod: PodName, signal: AbortSignal): Promise<Result<Identity, CniError>>;
}

/** What a pod network stands on. */
export interface PodNetworkOptions {
  readonly datapath: Datapath;
  readonly identities: Identities;
  readonly leases: LeaseStore;
  readonly book: AddressBook;
  /** The plans in force and the MTU of pods, in bytes. */
  readonly network: () => { readonly plans: readonly Plan[]; readonly mtu: number };
  readonly clock: Clock;
  readonly log: Log;
  /** How long to wait before a release that failed is tried again. */
  readonly retry?: BackoffLimits;
  /** Called when a lease is gone for good. */
  readonly onGone?: () => void;
}

/** What ADD is about. */
export interface AddRequest {
  /** Name of the CNI network. */
  readonly network: string;
  readonly attachment: Attachment;
  readonly netns: string;
  readonly pod: PodName;
}

/**
 * Connects pods to the network and takes them off it. Calls for one attachment run one after the other (a DEL ends
 * an ADD that is under way); those of different ones do not wait for each other.
 *
 * The order decides: a lease is on file before anything in the kernel is; policy is in the kernel before the link is
 * up; on the way back the pod is off the network before anybody is told, and its addresses are free only when the
 * link and every connection of theirs are gone. A step that fails gives back everything.
 */
export class PodNetwork {
  readonly #options: PodNetworkOptions;
  readonly #releases: Releases;
  readonly #calm: Calm;
  readonly #queue = new KeyedQueue();
  readonly #adding = new Map<string, AbortController>();

  constructor(options: PodNetworkOptions) {
    this.#options = options;
    this.#calm = new Calm(options.clock);
    this.#releases = new Releases({ ...options, calm: this.#calm });
  }

  /**
   * Takes over what is on file, before the first call: addresses of leases stay taken; what was half made, or was
   * leaving, when the last agent ended goes.
   */
  restore(): void {
    const { book, leases } = this.#options;
    book.reserve(leases.addresses());
    for (const lease of leases.withState('adding', 'leaving')) this.#releases.begin(lease);
  }

  /**
   * Connects a pod. Repeated for an attachment that is there and intact it gives the same result (its first answer
   * may have been lost); for one that is not intact it fails until DEL. All taken is given back on failure.
   */
  async add(request: AddRequest, signal: AbortSignal): Promise<Result<CniResult, CniError>> {
    const key = hostInterfaceName(request.attachment);
    return await this.#perform(key, async () => {
      const cancel = new AbortController();
      this.#adding.set(key, cancel);
      try {
        return await this.#add(request, AbortSignal.any([signal, cancel.signal]));
      } catch (error) {
        return err(cniErrorOf(error, `could not connect pod ${request.pod.namespace}/${request.pod.name}`));
      } finally {
        this.#adding.delete(key);
      }
    });
  }

  /**
   * Takes a pod off the network; succeeds when it is not on it. Answers when nothing passes any more: the link goes
   * in the background when no call is under way (within 1 s), and only then are its addresses free.
   */
  async del(attachment: Attachment, signal: AbortSignal): Promise<Result<undefined, CniError>> {
    const key = hostInterfaceName(attachment);
    this.#adding.get(key)?.abort(new CniFailure(cniError('tryAgainLater', 'DEL came before ADD was done')));
    return await this.#perform(key, async () => {
      const lease = this.#onFile(key);
      if (lease === undefined) return ok(undefined);
      try {
        await abortable(this.#releases.begin(lease).detached, signal);
        return ok(undefined);
      } catch (error) {
        return err(cniErrorOf(error, `could not take pod ${lease.namespace}/${lease.pod} off the network`));
      }
    });
  }

  /** Whether an attachment is as ADD made it; the error's details list what is not. */
  async check(attachment: Attachment, netns: string, previous: object): Promise<Result<undefined, CniError>> {
    const key = hostInterfaceName(attachment);
    return await this.#queue.run(key, async () => {
      const stored = this.#options.leases.get(key);
      if (stored?.state !== 'active') {
        return err(cniError('unknownContainer', `no pod is connected for container ${attachment.containerId}`));
      }
      try {
        const found = previousProblems(previous, this.#result(stored.lease, netns));
        const problems = [...found, ...this.#options.datapath.check(stored.lease, netns)];
        if (problems.length === 0) return ok(undefined);
        const pod = `${stored.lease.namespace}/${stored.lease.pod}`;
        return err(cniError('internal', `the network of pod ${pod} is not as it was made`, problems.join('; ')));
      } catch (error) {
        return err(cniErrorOf(error, `could not check container ${attachment.containerId}`));
      }
    });
  }

  /**
   * Frees what is not among a network's valid attachments and not younger than the runtime's list of them. What cannot
   * be freed yet keeps nothing else: it is in the error, and is tried again in the background.
   */
  async gc(said: ValidAttachments, signal: AbortSignal): Promise<Result<undefined, CniError>> {
    const { leases, clock } = this.#options;
    const invalid = invalidLeases(leases.withState('active'), said, clock.now());
    const outcomes = await Promise.all(invalid.map((lease) => this.free(lease, async () => true, signal)));
    const failures = outcomes.flatMap((outcome) => (outcome.ok ? [] : [outcome.error]));
    if (failures.length === 0) return ok(undefined);
    const what = `could not free ${failures.length} of ${invalid.length} attachments that are not valid any more yet`;
    const details = failures.slice(0, 20).map(({ msg }) => msg);
    return err(cniError('internal', what, details.join('; ')));
  }

  /**
   * Takes a lease off the network as DEL does, if it is still the one on file and `isStale` when its turn comes: after
   * the calls for its attachment that came before.
   *
   * @returns whether it was taken off.
   */
  async free(lease: Lease, isStale: () => Promise<boolean>, signal: AbortSignal): Promise<Result<boolean, CniError>> {
    return await this.#perform(lease.hostInterface, async () => {
      try {
        const isThere = (): boolean => this.#onFile(lease.hostInterface) === lease;
        if (!isThere() || !(await isStale()) || !isThere()) return ok(false);
        await abortable(this.#releases.begin(lease).detached, signal);
        return ok(true);
      } catch (error) {
        const { namespace, pod, containerId } = lease;
        return err(cniErrorOf(error, `could not take pod ${namespace}/${pod} (${containerId}) off the network`));
      }
    });
  }

  /** Resolves when no release is under way. */
  async settled(): Promise<void> {
    await this.#releases.settled();
  }

  /** Ends what is under way in the background; what still leaves goes on at the next start. */
  async stop(): Promise<void> {
    await this.#releases.stop();
  }

  /** Runs a call that somebody waits for, after the earlier ones of the same attachment. */
  async #perform<T>(key: string, call: () => Promise<T>): Promise<T> {
    return await this.#calm.disturb(() => this.#queue.run(key, call));
  }

  async #add(request: AddRequest, signal: AbortSignal): Promise<Result<CniResult, CniError>> {
    const { leases, identities } = this.#options;
    const key = hostInterfaceName(request.attachment);
    const leaving = this.#releases.underWay(key);
    leaving?.hurry();
    if (leaving !== undefined) await abortable(leaving.gone, signal);
    const stored = leases.get(key);
    if (stored !== undefined) return this.#addAgain(stored.lease, request);
    const identity = await abortable(identities.forPod(request.pod, signal), signal);
    if (!identity.ok) return identity;
    const lease = this.#lease(request, identity.value);
    if (!lease.ok) return lease;
    try {
      await this.#connect(lease.value, request.netns, signal);
      return ok(this.#result(lease.value, request.netns));
    } catch (error) {
      await this.#releases.begin(lease.value).attempted;
      throw error;
    }
  }

  /** A new lease, with addresses that are its own, on file. */
  #lease(request: AddRequest, identity: Identity): Result<Lease, CniError> {
    const { book, leases } = this.#options;
    const { attachment, pod } = request;
    const origin = this.#origin(request);
    const addresses = book.allocate(identity.plans, identity, pod.uid);
    if (!addresses.ok) return err(cniError('tryAgainLater', addresses.error));
    const lease: Lease = {
      uid: pod.uid,
      containerId: attachment.containerId,
      ifname: attachment.ifname,
      hostInterface: hostInterfaceName(attachment),
      namespace: pod.namespace,
      pod: pod.name,
      segment: identity.segment,
      addresses: addresses.value,
      ...attachmentMacs(attachment),
      origin,
    };
    try {
      leases.put(lease, 'adding');
      return ok(lease);
    } catch (error) {
      book.release(addresses.value);
      throw error;
    }
  }

  #origin({ network, netns }: AddRequest): Origin {
    const { datapath, clock } = this.#options;
    return { network, netns, netnsId: datapath.netnsId(netns), since: clock.now() };
  }

  async #connect(lease: Lease, netns: string, signal: AbortSignal): Promise<void> {
    const { datapath, leases } = this.#options;
    signal.throwIfAborted();
    // Beside each other; both have ended, well or badly, before anything else is done to the lease.
    const steps = [datapath.prepare(lease, netns), abortable(datapath.enforce(lease), signal)];
    const failed = (await Promise.allSettled(steps)).find((step) => step.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    datapath.up(lease);
    leases.put(lease, 'active');
  }

  #addAgain(lease: Lease, request: AddRequest): Result<CniResult, CniError> {
    const { netns, pod } = request;
    const problems = [...this.#options.datapath.check(lease, netns)];
    if (lease.uid !== pod.uid) problems.unshift(`it belongs to pod ${lease.namespace}/${lease.pod}, uid ${lease.uid}`);
    if (problems.length === 0) {
      // Its age counts from now on: a runtime that asks again wants it, whatever it knew before.
      this.#options.leases.put({ ...lease, origin: this.#origin(request) }, 'active');
      return ok(this.#result(lease, netns));
    }
    const what = `container ${lease.containerId} has an interface ${lease.ifname} already, DEL must come first`;
    return err(cniError('internal', what, problems.join('; ')));
  }

  /** The lease behind an interface, in any state, or what is left of one whose file cannot be read. */
  #onFile(hostInterface: string): Lease | undefined {
    const { leases } = this.#options;
    const damaged = leases.damaged().find((item) => item.hostInterface === hostInterface);
    return leases.get(hostInterface)?.lease ?? damaged?.lease;
  }

  #result(lease: Lease, netns: string): CniResult {
    const { plans, mtu } = this.#options.network();
    const { hostInterface, hostMac, ifname, podMac } = lease;
    const addresses = lease.addresses.map((address) => ({ address, gateway: gatewayOf(plans, address) }));
    return { hostInterface, hostMac, ifname, podMac, sandbox: netns, mtu, addresses };
  }
}

function gatewayOf(plans: readonly Plan[], address: Address): Address {
  for (const plan of plans) {
    const fields = decode(plan, address);
    if (fields !== undefined) return gateway(plan, fields.host);
  }
  throw new Error(`address ${address} lies in no plan of the network`);
}
