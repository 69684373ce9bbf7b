import type { Address } from '../addr/address.ts';
import type { LoggedPacket } from '../kernel/nflog.ts';
import type { EventRecorder } from '../kube/events.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { TokenBucket } from '../lib/token-bucket.ts';
import { type Denial, DENIAL_ANNOTATION, DENIED_REASON, denialText } from '../objects/denial.ts';
import type { IdentityIndex } from '../plan/identity.ts';
import { DENIED_PREFIX } from '../plan/tally.ts';
import type { Lease, Snapshot } from '../plan/snapshot.ts';
import { evaluate } from '../policy/evaluate.ts';
import type { Direction } from '../policy/model.ts';
import { type Party, partyName } from '../policy/party.ts';
import { benchOf } from './bench.ts';
import type { AgentMetrics } from './metrics.ts';
import type { PeerNames } from './peer-names.ts';
import { type Bench, policyPort } from './revocation.ts';

/** Whom denied packets are told, and what they are explained by. */
export interface DenialsOptions {
  /** What is in force; undefined before anything is. */
  readonly snapshot: () => Snapshot | undefined;
  readonly identities: (snapshot: Snapshot) => IdentityIndex;
  /** All addresses of this host. */
  readonly ownAddresses: () => Iterable<Address>;
  readonly names: Pick<PeerNames, 'nameOf'>;
  readonly events: Pick<EventRecorder, 'record'>;
  readonly metrics: Pick<AgentMetrics, 'deniedTold' | 'deniedEvents'>;
  readonly clock: Clock;
  readonly log: Log;
}

/** A line in the log for each connection, and an event for each pair, at most once in so many milliseconds. */
export const QUIET_MS = 60_000;

/** Connections that are remembered for that; of more, the longest known are told again sooner. */
const MAX_REMEMBERED = 2_048;

/** Events beyond these are left out, so that a scan costs the API server next to nothing: of all pods, and of each. */
const EVENTS_OF_ALL = { burst: 40, everyMs: 3_000 };
const EVENTS_OF_POD = { burst: 10, everyMs: 12_000 };

/** So many of the rules that came nearest are told. */
const MAX_NEAR = 3;

interface Told {
  readonly at: number;
  /** Packets since then, of which nobody was told. */
  more: number;
}

interface Judged {
  readonly denial: Denial;
  /** The end that is not the pod here. */
  readonly other: Party;
}

/**
 * Turns denied packets, as the kernel tells of them, into lines of the log, metrics, and Events on the pods here: with
 * both ends by name and what denies, as `evaluate` has it.
 */
export class Denials {
  readonly #options: DenialsOptions;
  /** Connections by direction, addresses, protocol and port, the one told of last at the end. */
  readonly #connections = new Map<string, Told>();
  /** When an event told of a pair: its pod here and direction, and the other end. Those of the last minute. */
  readonly #pairs = new Map<string, number>();
  readonly #ofAll: TokenBucket;
  readonly #ofPod = new Map<string, TokenBucket>();
  #bench: { readonly snapshot: Snapshot; readonly bench: Bench } | undefined;

  constructor(options: DenialsOptions) {
    this.#options = options;
    this.#ofAll = new TokenBucket(EVENTS_OF_ALL, options.clock);
  }

  /** Takes one packet that the rules of this host denied. */
  hear(packet: LoggedPacket): void {
    const direction = directionOf(packet);
    const snapshot = this.#options.snapshot();
    if (direction === undefined || snapshot === undefined) return;
    this.#options.metrics.deniedTold.inc({ direction });
    const address = direction === 'ingress' ? packet.dst : packet.src;
    const lease = snapshot.leases.find(({ addresses }) => addresses.includes(address));
    // A pod that is gone meanwhile.
    if (lease === undefined) return;
    const key = `${direction} ${packet.src} ${packet.dst} ${packet.protocol} ${packet.ports?.dst}`;
    const more = this.#isNews(key);
    if (more === undefined) return;
    const { log } = this.#options;
    const judged = this.#judge(snapshot, direction, packet);
    if (judged === undefined) {
      log.info({ direction, from: packet.src, to: packet.dst, port: portText(packet), more }, CHANGED);
      return;
    }
    void this.#say(judged, lease, more);
  }

  async #say({ denial, other }: Judged, lease: Lease, more: number): Promise<void> {
    const name = await this.#options.names.nameOf(other);
    const named = denial.direction === 'ingress' ? { ...denial, from: name } : { ...denial, to: name };
    this.#options.log.info({ ...named, more }, 'policy denies a connection');
    this.#tell(named, lease, `${denial.direction} ${lease.uid} ${other.kind} ${name}`);
  }

  /** How often this connection was denied since it was told of last, if that is a minute ago; undefined: not yet. */
  #isNews(key: string): number | undefined {
    const now = this.#options.clock.now();
    const told = this.#connections.get(key);
    if (told !== undefined && isRecent(told.at, now)) {
      told.more += 1;
      return undefined;
    }
    this.#connections.delete(key);
    this.#connections.set(key, { at: now, more: 0 });
    const oldest = this.#connections.keys().next();
    if (this.#connections.size > MAX_REMEMBERED && oldest.done !== true) this.#connections.delete(oldest.value);
    return told?.more ?? 0;
  }

  /** Undefined when policy, which has changed since, denies nothing. */
  #judge(snapshot: Snapshot, direction: Direction, packet: LoggedPacket): Judged | undefined {
    if (this.#bench?.snapshot !== snapshot) {
      const { identities, ownAddresses } = this.#options;
      this.#bench = { snapshot, bench: benchOf(snapshot, identities(snapshot), new Set(ownAddresses())) };
    }
    const { world, partyOf } = this.#bench.bench;
    const { src, dst, protocol = 0, ports } = packet;
    const [from, to] = [partyOf(src), partyOf(dst)];
    const { verdict, tier, object, field, near } = evaluate(world, from, to, policyPort(protocol, ports?.dst ?? 0))[
      direction
    ];
    if (verdict === 'allow' || (tier !== 'admin' && tier !== 'isolation' && tier !== 'baseline')) return undefined;
    const denial = {
      direction,
      from: partyName(from),
      fromAddress: src,
      to: partyName(to),
      toAddress: dst,
      port: portText(packet),
      tier,
      object,
      field,
      near: near.slice(0, MAX_NEAR),
    };
    return { denial, other: direction === 'ingress' ? from : to };
  }

  #tell(denial: Denial, lease: Lease, pair: string): void {
    const { events, metrics, clock } = this.#options;
    const now = clock.now();
    for (const [other, at] of this.#pairs) if (!isRecent(at, now)) this.#pairs.delete(other);
    if (this.#pairs.has(pair)) return;
    if (!this.#mayTell(lease.uid)) {
      metrics.deniedEvents.inc({ result: 'left out' });
      return;
    }
    this.#pairs.set(pair, now);
    metrics.deniedEvents.inc({ result: 'recorded' });
    events.record({
      object: { apiVersion: 'v1', kind: 'Pod', namespace: lease.namespace, name: lease.pod, uid: this.#uidOf(lease) },
      type: 'Warning',
      reason: DENIED_REASON,
      message: denialText(denial),
      annotations: { [DENIAL_ANNOTATION]: JSON.stringify(denial) },
    });
  }

  #mayTell(uid: string): boolean {
    for (const [other, bucket] of this.#ofPod) if (bucket.full) this.#ofPod.delete(other);
    const ofPod = this.#ofPod.get(uid) ?? new TokenBucket(EVENTS_OF_POD, this.#options.clock);
    // One that is not allowed takes nothing from others; of the pod's own it may.
    if (!ofPod.take() || !this.#ofAll.take()) return false;
    this.#ofPod.set(uid, ofPod);
    return true;
  }

  /** The API server's uid of a lease's pod: leases of static pods have the kubelet's. */
  #uidOf({ uid, namespace, pod }: Lease): string {
    const pods = this.#options.snapshot()?.localPods;
    if (pods?.has(uid) === true) return uid;
    const named = [...(pods?.values() ?? [])].find(({ meta }) => meta.namespace === namespace && meta.name === pod);
    return named?.meta.uid ?? uid;
  }
}

const CHANGED = 'a connection was denied that policy, which has changed since, allows';

function directionOf({ prefix }: LoggedPacket): Direction | undefined {
  return (['ingress', 'egress'] as const).find((direction) => prefix === `${DENIED_PREFIX}${direction}`);
}

/** Whether it was less than a minute ago; what is to come was before the clock was set back. */
function isRecent(at: number, now: number): boolean {
  return at <= now && now - at < QUIET_MS;
}

const PROTOCOLS: ReadonlyMap<number, string> = new Map([
  [1, 'ICMP'],
  [6, 'TCP'],
  [17, 'UDP'],
  [58, 'ICMPv6'],
  [132, 'SCTP'],
]);

function portText({ protocol, ports }: LoggedPacket): string {
  if (protocol === undefined) return 'unknown';
  const name = PROTOCOLS.get(protocol) ?? `protocol ${protocol}`;
  return ports === undefined ? name : `${name}/${ports.dst}`;
}
