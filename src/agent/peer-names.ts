import type { Address } from '../addr/address.ts';
import type { KubeClient } from '../kube/client.ts';
import type { Clock } from '../lib/clock.ts';
import { TokenBucket } from '../lib/token-bucket.ts';
import { parsePod, podFinished } from '../objects/pod.ts';
import { PODS } from '../objects/resources.ts';
import { type Party, partyName, type PodParty } from '../policy/party.ts';

/** What names are asked of. */
export interface PeerNamesOptions {
  readonly client: Pick<KubeClient, 'list'>;
  readonly clock: Clock;
  /** Ends what is still asked. */
  readonly signal: AbortSignal;
}

/** A name counts for so long, in milliseconds: addresses are given again. */
const KNOWN_MS = 60_000;
const MAX_KNOWN = 512;
/** The API server is asked no more often than this, and for no more at once; then addresses have to do. */
const ASKED = { burst: 20, everyMs: 1_000 };
const MAX_ASKED_AT_ONCE = 4;

/**
 * Names the ends of connections for people. Of most pods on other hosts an agent knows the bits of their addresses
 * alone, which name the namespace and the node: the API server is asked for the few pods that are on both.
 */
export class PeerNames {
  readonly #options: PeerNamesOptions;
  readonly #bucket: TokenBucket;
  readonly #known = new Map<Address, { readonly name: string | undefined; readonly at: number }>();
  readonly #asked = new Map<Address, Promise<string | undefined>>();

  constructor(options: PeerNamesOptions) {
    this.#options = options;
    this.#bucket = new TokenBucket(ASKED, options.clock);
  }

  /** The name of a party, of a pod whose name can't be found the namespace and the address. Never rejects. */
  async nameOf(party: Party): Promise<string> {
    const [address] = party.kind === 'pod' ? party.addresses : [];
    if (party.kind !== 'pod' || party.name !== '' || party.node === '' || address === undefined) {
      return partyName(party);
    }
    const known = this.#known.get(address);
    const now = this.#options.clock.now();
    const name =
      known !== undefined && known.at <= now && now - known.at < KNOWN_MS
        ? known.name
        : await this.#ask(party, address);
    return name ?? partyName(party);
  }

  #ask(party: PodParty, address: Address): Promise<string | undefined> {
    const asked = this.#asked.get(address);
    if (asked !== undefined) return asked;
    if (this.#asked.size >= MAX_ASKED_AT_ONCE || !this.#bucket.take()) return Promise.resolve(undefined);
    const asking = this.#find(party, address)
      .then((name) => this.#remember(address, name))
      .catch(() => undefined)
      .finally(() => this.#asked.delete(address));
    this.#asked.set(address, asking);
    return asking;
  }

  async #find({ namespace, node }: PodParty, address: Address): Promise<string | undefined> {
    const { client, signal } = this.#options;
    const fieldSelector = `spec.nodeName=${node}`;
    const { items } = await client.list(PODS, { namespace, fieldSelector, signal, each: parsePod });
    for (const pod of items) {
      if (!pod.ok || pod.value.hostNetwork || podFinished(pod.value)) continue;
      if (pod.value.addresses.includes(address)) return `${namespace}/${pod.value.meta.name}`;
    }
    return undefined;
  }

  #remember(address: Address, name: string | undefined): string | undefined {
    this.#known.delete(address);
    this.#known.set(address, { name, at: this.#options.clock.now() });
    const oldest = this.#known.keys().next();
    if (this.#known.size > MAX_KNOWN && oldest.done !== true) this.#known.delete(oldest.value);
    return name;
  }
}
