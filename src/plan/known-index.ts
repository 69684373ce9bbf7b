import { familyOf } from '../addr/address.ts';
import type { Address, Family } from '../addr/address.ts';
import { contains } from '../addr/cidr.ts';
import type { Plan } from '../addr/plan.ts';
import type { Exception, Host } from '../objects/host.ts';
import { configHash, podFinished } from '../objects/pod.ts';
import type { Pod } from '../objects/pod.ts';
import { KeyedLists } from './keyed-lists.ts';
import type { KnownAddress, KnownPod, KnownPods, LocalPod } from './known-pods.ts';
import { difference, sameItems } from './same.ts';
import type { Lease, Snapshot } from './snapshot.ts';
import { isInSlot } from './tenancy.ts';
import type { Tenancy } from './tenancy.ts';

/** Somebody's claim to an address: of this host's lease, or of a pod that a watch shows. */
interface Claim {
  readonly by: LocalPod | Pod;
  readonly pod: KnownPod;
  /** The pod of another host; undefined for a lease. */
  readonly peer: Pod | undefined;
}

/** What all claims are judged by: when any of it differs, everything is judged anew. */
interface Ground {
  readonly plans: readonly Plan[];
  readonly segmentLabel: string;
  readonly node: string;
  readonly hosts: readonly Host[];
  readonly tenancy: Tenancy;
}

/** Collects what one snapshot knows of single pods. */
export function knownPods(snapshot: Snapshot, tenancy: Tenancy): KnownPods {
  return new KnownIndex().of(snapshot, tenancy);
}

/**
 * Collects what snapshots know of single pods, of each but what differs from the last one. Where two claim one address,
 * the live and newer one has it (R7).
 */
export class KnownIndex {
  #ground: Ground | undefined;
  #known: KnownPods | undefined;
  #locals: readonly LocalPod[] = [];
  #peers: readonly Pod[] = [];
  #exceptions: ReadonlyMap<Address, Exception> = new Map();
  #plans: ReadonlyMap<Family, Plan> = new Map();
  #hosts: ReadonlyMap<string, Host> = new Map();
  #claims = new Map<Address, readonly Claim[]>();
  #byAddress = new Map<Address, KnownAddress>();
  #byNamespace = new KeyedLists<KnownAddress>();
  #irregular = new KeyedLists<KnownAddress>();
  #byLabel = new KeyedLists<KnownAddress>();
  /** Of leases, as they were read last. */
  readonly #read = new WeakMap<Lease, { readonly found: Pod | undefined; readonly local: LocalPod }>();

  /** What `snapshot` knows; the same object as the last time if that is the same. Good until the next call. */
  of(snapshot: Snapshot, tenancy: Tenancy): KnownPods {
    const touched = new Set<Address>();
    this.#stand(snapshot, tenancy, touched);
    const locals = this.#readLocals(snapshot);
    this.#change(difference(this.#locals, locals), (local) => this.#claimsOfLocal(local), touched);
    this.#change(difference(this.#peers, snapshot.peerPods), (pod) => this.#claimsOfPeer(pod), touched);
    const before = this.#known;
    if (before !== undefined && touched.size === 0 && sameItems(locals, this.#locals)) return before;
    this.#locals = locals;
    this.#peers = snapshot.peerPods;
    for (const address of touched) this.#settle(address);
    for (const lists of [this.#byNamespace, this.#irregular, this.#byLabel]) lists.commit();
    const finished = locals.flatMap((local) => (local.finished ? local.lease.addresses : []));
    const byLabel = this.#byLabel.lists;
    this.#known = {
      locals,
      byAddress: this.#byAddress,
      byNamespace: this.#byNamespace.lists,
      irregular: this.#irregular.lists,
      having: (namespace, label, value) => byLabel.get(labelKey(namespace, label, value)) ?? NOBODY,
      finished: new Set(finished),
    };
    return this.#known;
  }

  /** Starts anew on another ground. */
  #stand({ network, node, hosts }: Snapshot, tenancy: Tenancy, touched: Set<Address>): void {
    const ground = {
      plans: network.plans,
      segmentLabel: network.segmentLabel,
      node,
      hosts: [...hosts.values()],
      tenancy,
    };
    const last = this.#ground;
    if (
      last !== undefined &&
      last.plans === ground.plans &&
      last.segmentLabel === ground.segmentLabel &&
      last.node === node &&
      last.tenancy === tenancy &&
      sameItems(last.hosts, ground.hosts)
    ) {
      return;
    }
    this.#ground = ground;
    this.#known = undefined;
    [this.#locals, this.#peers] = [[], []];
    this.#plans = new Map(network.plans.map((plan) => [plan.family, plan]));
    this.#hosts = new Map(hosts);
    this.#claims = new Map();
    this.#byAddress = new Map();
    this.#byNamespace = new KeyedLists();
    this.#irregular = new KeyedLists();
    this.#byLabel = new KeyedLists();
    const exceptions = new Map<Address, Exception>();
    for (const [name, host] of hosts) {
      for (const exception of name === node ? [] : host.exceptions) {
        for (const address of exception.addresses) if (inRanges(host, address)) exceptions.set(address, exception);
      }
    }
    this.#exceptions = exceptions;
    for (const address of exceptions.keys()) touched.add(address);
  }

  #readLocals({ leases, localPods }: Snapshot): readonly LocalPod[] {
    const pods = podsByLeaseUid(localPods);
    return leases.map((lease) => {
      const found = pods.get(lease.uid);
      const before = this.#read.get(lease);
      if (before !== undefined && before.found === found) return before.local;
      const finished = found !== undefined && podFinished(found);
      const local = { lease, pod: finished ? undefined : found, finished };
      this.#read.set(lease, { found, local });
      return local;
    });
  }

  #claimsOfLocal(local: LocalPod): readonly (readonly [Address, Claim])[] {
    if (local.finished) return [];
    const { lease } = local;
    const segmentLabel = this.#ground?.segmentLabel ?? '';
    const pod = local.pod === undefined ? leaseOnly(lease, segmentLabel) : fromPod(local.pod, lease.addresses);
    const claim = { by: local, pod, peer: undefined };
    return lease.addresses.map((address) => [address, claim]);
  }

  #claimsOfPeer(peer: Pod): readonly (readonly [Address, Claim])[] {
    const host = this.#hosts.get(peer.nodeName);
    // What is on this host, the leases say.
    if (host === undefined || peer.nodeName === this.#ground?.node || peer.hostNetwork || podFinished(peer)) return [];
    const claim = { by: peer, pod: fromPod(peer, peer.addresses), peer };
    return peer.addresses.filter((address) => inRanges(host, address)).map((address) => [address, claim]);
  }

  #change<T extends LocalPod | Pod>(
    { gone, come }: ReturnType<typeof difference<T>>,
    claimsOf: (by: T) => readonly (readonly [Address, Claim])[],
    touched: Set<Address>,
  ): void {
    for (const by of gone) {
      for (const [address] of claimsOf(by)) {
        const left = (this.#claims.get(address) ?? []).filter((claim) => claim.by !== by);
        if (left.length === 0) this.#claims.delete(address);
        else this.#claims.set(address, left);
        touched.add(address);
      }
    }
    for (const by of come) {
      for (const [address, claim] of claimsOf(by)) {
        // A list of one as such: one that is spread out keeps room for 16 more.
        const others = this.#claims.get(address);
        this.#claims.set(address, others === undefined ? [claim] : [...others, claim]);
        touched.add(address);
      }
    }
  }

  /** Says whose an address is now. */
  #settle(address: Address): void {
    const before = this.#byAddress.get(address);
    const after = this.#judge(address);
    if (before !== undefined) {
      this.#byAddress.delete(address);
      for (const [lists, key] of this.#places(before)) lists.remove(key, before);
    }
    if (after === undefined) return;
    this.#byAddress.set(address, after);
    for (const [lists, key] of this.#places(after)) lists.add(key, after);
  }

  #places(known: KnownAddress): readonly (readonly [KeyedLists<KnownAddress>, string])[] {
    const { namespace, labels } = known.pod;
    return [
      [this.#byNamespace, namespace],
      ...(known.regular ? [] : [[this.#irregular, namespace] as const]),
      ...Array.from(labels, ([label, value]) => [this.#byLabel, labelKey(namespace, label, value)] as const),
    ];
  }

  #judge(address: Address): KnownAddress | undefined {
    const ground = this.#ground;
    const family = familyOf(address);
    const plan = this.#plans.get(family);
    if (plan === undefined || ground === undefined) return undefined;
    const claim = this.#claims.get(address)?.reduce(better);
    const exception = this.#exceptions.get(address);
    if (exception !== undefined) {
      // A Host's own agent holds the leases there, so it knows better than a watch whose pod an address is.
      const pod = claim?.pod.uid === exception.uid ? claim.pod : fromException(exception);
      return { pod, address, family, regular: false };
    }
    if (claim === undefined) return undefined;
    const { pod } = claim;
    const segment = pod.labels.get(ground.segmentLabel) ?? null;
    const slot = ground.tenancy.segmentSlot(plan, pod.namespace, segment);
    return { pod, address, family, regular: slot.kind === 'bits' && isInSlot(plan, slot, address) };
  }
}

const NOBODY: readonly KnownAddress[] = [];

/** The better claim of two, whichever came first. */
function better(one: Claim, other: Claim): Claim {
  if (one.peer === undefined || other.peer === undefined) return one.peer === undefined ? other : one;
  return isNewer(other.peer, one.peer) ? other : one;
}

/** None of names and labels holds a blank. */
function labelKey(namespace: string, label: string, value: string): string {
  return `${namespace} ${label} ${value}`;
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
  if (made !== otherMade) return made > otherMade;
  if (a.meta.uid !== b.meta.uid) return a.meta.uid > b.meta.uid;
  // Two watches show one pod, each as far as it has come.
  return isLater(a.meta.resourceVersion, b.meta.resourceVersion);
}

function isLater(version: string, than: string): boolean {
  return version.length === than.length ? version > than : version.length > than.length;
}
