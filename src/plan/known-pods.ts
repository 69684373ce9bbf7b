import { familyOf } from '../addr/address.ts';
import type { Address, Family } from '../addr/address.ts';
import { contains } from '../addr/cidr.ts';
import { decode } from '../addr/plan.ts';
import type { Plan } from '../addr/plan.ts';
import type { Exception, Host } from '../objects/host.ts';
import type { Labels } from '../objects/meta.ts';
import { configHash, podFinished } from '../objects/pod.ts';
import type { ContainerPort, Pod } from '../objects/pod.ts';
import { matchesPartly } from '../objects/selector.ts';
import type { LabelSelector } from '../objects/selector.ts';
import type { PodParty } from '../policy/party.ts';
import type { Lease, Snapshot } from './snapshot.ts';
import { isInSlot } from './tenancy.ts';
import type { Slot, Tenancy } from './tenancy.ts';

/** A pod of which more is known than its bits say. */
export interface KnownPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Today's labels; of a lease without its Pod only the segment label. */
  readonly labels: Labels;
  readonly known: 'all' | 'segment';
  readonly ports: readonly ContainerPort[];
  readonly addresses: readonly Address[];
}

/** One address of a known pod. */
export interface KnownAddress {
  readonly pod: KnownPod;
  readonly address: Address;
  readonly family: Family;
  /** Whether its bits say exactly what the pod's labels say, so that a masked lookup finds it. */
  readonly regular: boolean;
}

/** A lease with what is known of its pod. */
export interface LocalPod {
  readonly lease: Lease;
  /** Undefined: the API shows no such pod (any more), or a finished one. */
  readonly pod: Pod | undefined;
  readonly finished: boolean;
}

/** Everything that is known about single pods, by address and by namespace. */
export interface KnownPods {
  readonly locals: readonly LocalPod[];
  readonly byAddress: ReadonlyMap<Address, KnownAddress>;
  readonly byNamespace: ReadonlyMap<string, readonly KnownAddress[]>;
  /** Those of byNamespace that masked lookups do not find. */
  readonly irregular: ReadonlyMap<string, readonly KnownAddress[]>;
  /** This host's addresses whose pods are finished: nobody's. */
  readonly finished: ReadonlySet<Address>;
}

/** Whether `pod` meets `selector` for certain. */
export function podMatches(pod: KnownPod, selector: LabelSelector, segmentLabel: string): boolean {
  return matchesPartly(selector, pod.labels, (key) => pod.known === 'all' || key === segmentLabel) === 'yes';
}

/** A known pod by one of its addresses, for the oracle. */
export function partyOfPod({ namespace, name, labels, known, ports }: KnownPod, address: Address, node = ''): PodParty {
  return { kind: 'pod', namespace, name, node, labels, known, addresses: [address], ports };
}

/** Collects what the snapshot knows of single pods. Where two claim one address, the live and newer one has it (R7). */
export function knownPods(snapshot: Snapshot, tenancy: Tenancy): KnownPods {
  return new Collector(snapshot, tenancy).collect();
}

class Collector {
  readonly #snapshot: Snapshot;
  readonly #tenancy: Tenancy;
  readonly #plans: ReadonlyMap<Family, Plan>;
  readonly #byAddress = new Map<Address, KnownAddress>();

  constructor(snapshot: Snapshot, tenancy: Tenancy) {
    this.#snapshot = snapshot;
    this.#tenancy = tenancy;
    this.#plans = new Map(snapshot.network.plans.map((plan) => [plan.family, plan]));
  }

  collect(): KnownPods {
    const { locals, finished } = this.#collectLocal();
    this.#collectPeers();
    this.#collectExceptions();
    const byNamespace = new Map<string, KnownAddress[]>();
    const irregular = new Map<string, KnownAddress[]>();
    for (const known of this.#byAddress.values()) {
      append(byNamespace, known.pod.namespace, known);
      if (!known.regular) append(irregular, known.pod.namespace, known);
    }
    return { locals, byAddress: this.#byAddress, byNamespace, irregular, finished };
  }

  #collectLocal(): { locals: LocalPod[]; finished: Set<Address> } {
    const pods = podsByLeaseUid(this.#snapshot.localPods);
    const locals: LocalPod[] = [];
    const finished = new Set<Address>();
    for (const lease of this.#snapshot.leases) {
      const found = pods.get(lease.uid);
      const pod = found === undefined || podFinished(found) ? undefined : found;
      locals.push({ lease, pod, finished: found !== undefined && pod === undefined });
      if (found !== undefined && pod === undefined) {
        for (const address of lease.addresses) finished.add(address);
        continue;
      }
      const known =
        pod === undefined ? leaseOnly(lease, this.#snapshot.network.segmentLabel) : fromPod(pod, lease.addresses);
      for (const address of known.addresses) this.#add(known, address);
    }
    return { locals, finished };
  }

  #collectPeers(): void {
    const claims = new Map<Address, Pod>();
    for (const pod of this.#snapshot.peerPods) {
      const host = this.#snapshot.hosts.get(pod.nodeName);
      // What is on this host, the leases say.
      if (host === undefined || pod.nodeName === this.#snapshot.node || pod.hostNetwork || podFinished(pod)) continue;
      for (const address of pod.addresses) {
        if (!inRanges(host, address)) continue;
        const other = claims.get(address);
        if (other === undefined || isNewer(pod, other)) claims.set(address, pod);
      }
    }
    const known = new Map<Pod, KnownPod>();
    for (const [address, pod] of claims) {
      const one = known.get(pod) ?? fromPod(pod, pod.addresses);
      known.set(pod, one);
      this.#add(one, address);
    }
  }

  /** A Host's own agent holds the leases there, so it knows better than a watch whose pod an address is. */
  #collectExceptions(): void {
    for (const [name, host] of this.#snapshot.hosts) {
      if (name === this.#snapshot.node) continue;
      for (const exception of host.exceptions) {
        for (const address of exception.addresses) {
          if (!inRanges(host, address)) continue;
          const watched = this.#byAddress.get(address)?.pod;
          this.#add(watched?.uid === exception.uid ? watched : fromException(exception), address, false);
        }
      }
    }
  }

  #add(pod: KnownPod, address: Address, mayBeRegular = true): void {
    const family = familyOf(address);
    const plan = this.#plans.get(family);
    if (plan === undefined) return;
    const slot = this.#slotOf(plan, pod);
    const regular = mayBeRegular && slot.kind === 'bits' && isInSlot(plan, slot, address);
    this.#byAddress.set(address, { pod, address, family, regular });
  }

  #slotOf(plan: Plan, pod: KnownPod): Slot {
    const segment = pod.labels.get(this.#snapshot.network.segmentLabel) ?? null;
    return this.#tenancy.segmentSlot(plan, pod.namespace, segment);
  }
}

/** Addresses that masked lookups would judge by bits that are not true of them, by family. */
export function exceptedAddresses(known: KnownPods, plan: Plan): Address[] {
  const misleads = (address: Address): boolean => decode(plan, address)?.pool === undefined;
  const found: Address[] = [];
  for (const list of known.irregular.values()) {
    for (const { address, family } of list) if (family === plan.family && misleads(address)) found.push(address);
  }
  for (const address of known.finished) if (familyOf(address) === plan.family && misleads(address)) found.push(address);
  return found;
}

function podsByLeaseUid(pods: ReadonlyMap<string, Pod>): ReadonlyMap<string, Pod> {
  const byUid = new Map(pods);
  for (const pod of pods.values()) {
    const hash = configHash(pod);
    if (hash !== undefined) byUid.set(hash, pod);
  }
  return byUid;
}

function leaseOnly(lease: Lease, segmentLabel: string): KnownPod {
  return {
    namespace: lease.namespace,
    name: lease.pod,
    uid: lease.uid,
    labels: lease.segment === null ? new Map() : new Map([[segmentLabel, lease.segment]]),
    known: 'segment',
    ports: [],
    addresses: lease.addresses,
  };
}

function fromPod(pod: Pod, addresses: readonly Address[]): KnownPod {
  const { namespace, name, uid, labels } = pod.meta;
  return { namespace, name, uid, labels, known: 'all', ports: pod.ports, addresses };
}

function fromException(exception: Exception): KnownPod {
  const { namespace, pod: name, uid, labels, addresses } = exception;
  return { namespace, name, uid, labels, known: 'all', ports: [], addresses };
}

function inRanges(host: Host, address: Address): boolean {
  return host.ranges.some((range) => contains(range, address));
}

function isNewer(a: Pod, b: Pod): boolean {
  const leaving = Number(a.meta.deletionTimestamp !== undefined) - Number(b.meta.deletionTimestamp !== undefined);
  if (leaving !== 0) return leaving < 0;
  // RFC 3339 in UTC with whole seconds, as the API server writes it, sorts as text.
  const [made, otherMade] = [a.meta.creationTimestamp ?? '', b.meta.creationTimestamp ?? ''];
  return made === otherMade ? a.meta.uid > b.meta.uid : made > otherMade;
}

function append<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
