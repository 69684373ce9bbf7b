import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Desired } from '../../src/plan/desired.ts';
import type { Snapshot } from '../../src/plan/snapshot.ts';

const PROBER = fileURLToPath(new URL('ruleset-prober.ts', import.meta.url));
const GATEWAYS = ['10.1.0.1', 'fd00:10::1:0:0:1'];

/** Runs a program in a network namespace and gives its output. */
export function inNamespace(namespace: string, command: readonly string[], input = ''): string {
  return execFileSync('ip', ['netns', 'exec', namespace, ...command], { encoding: 'utf8', input });
}

/** The prober of one namespace; questions are answered one after the other. */
export class Prober {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;

  constructor(namespace: string) {
    this.#process = spawn('ip', ['netns', 'exec', namespace, process.execPath, PROBER]);
    this.#process.stderr.pipe(process.stderr);
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
  }

  async ask(request: object): Promise<unknown> {
    this.#process.stdin.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error('the prober ended');
    return JSON.parse(value);
  }

  close(): void {
    this.#process.kill();
  }
}

/**
 * Host 1 as a network namespace with its pods, as a snapshot has them, wired as the agent does it; beside it the
 * `fabric`, one namespace that holds every address of everybody else.
 */
export class RulesetNetwork {
  readonly #prefix = `rt-${process.pid}-rules`;
  readonly #made: string[] = [];
  readonly #probers = new Map<string, Prober>();
  readonly node = `${this.#prefix}-node`;
  readonly fabric = `${this.#prefix}-fabric`;

  /** @param elsewhere the addresses that the fabric answers for, those of pods of other hosts among them */
  constructor(snapshot: Snapshot, elsewhere: readonly string[]) {
    try {
      this.#build(snapshot, elsewhere);
    } catch (cause) {
      this.close();
      throw cause;
    }
  }

  /** The namespace of a pod. */
  pod(name: string): string {
    return `${this.#prefix}-${name}`;
  }

  /** The prober of a namespace, started when first asked for. */
  prober(namespace: string): Prober {
    const before = this.#probers.get(namespace);
    const prober = before ?? new Prober(namespace);
    this.#probers.set(namespace, prober);
    return prober;
  }

  /** Routes to other hosts, as planned. */
  addRoutes({ routes }: Desired): void {
    const lines = routes
      .filter(({ dev }) => dev === undefined)
      .map(({ kind, dst, via }) =>
        kind === 'blackhole' ? `route add blackhole ${dst} metric 4096` : `route add ${dst} via ${via}`,
      );
    this.#ip(this.node, lines);
  }

  /** One transaction in the node's namespace. */
  nft(text: string): void {
    inNamespace(this.node, ['nft', '-f', '-'], text);
  }

  /** Whether one echo request from an address is answered. */
  ping(namespace: string, from: string, to: string): boolean {
    try {
      inNamespace(namespace, ['ping', '-c', '1', '-W', '0.4', '-I', from, to]);
      return true;
    } catch {
      return false;
    }
  }

  /** Gives a pod an address that is not its own. */
  forge(namespace: string, address: string): void {
    this.#ip(namespace, [`address add ${withLength(address)} dev lo`]);
  }

  close(): void {
    for (const prober of this.#probers.values()) prober.close();
    for (const namespace of this.#made) execFileSync('ip', ['netns', 'delete', namespace]);
  }

  #build(snapshot: Snapshot, elsewhere: readonly string[]): void {
    this.#make(this.node);
    this.#make(this.fabric);
    this.#wireUplink(elsewhere);
    for (const [index, lease] of snapshot.leases.entries()) {
      const name = this.pod(lease.pod);
      this.#make(name);
      this.#wirePod(name, lease.hostInterface, lease.addresses, index);
    }
  }

  #make(namespace: string): void {
    execFileSync('ip', ['netns', 'add', namespace]);
    this.#made.push(namespace);
    // Duplicate address detection would hold back the first packets of IPv6.
    const script =
      'cd /proc/sys/net; for i in all default; do echo 0 >ipv6/conf/$i/accept_dad; done;' +
      'echo 1 >ipv4/ip_forward; echo 1 >ipv6/conf/all/forwarding; ip link set lo up';
    inNamespace(namespace, ['sh', '-c', script]);
  }

  #wireUplink(elsewhere: readonly string[]): void {
    this.#ip(this.node, [
      `link add eth0 type veth peer name eth0 netns ${this.fabric}`,
      'link set eth0 up',
      'address add 192.168.99.11/24 dev eth0',
      'address add fd00:99::11/64 dev eth0',
    ]);
    this.#ip(this.fabric, [
      'link set eth0 up',
      ...['192.168.99.1/24', '192.168.99.10/24', '192.168.99.12/24'].map((a) => `address add ${a} dev eth0`),
      ...['fd00:99::1/64', 'fd00:99::10/64', 'fd00:99::12/64'].map((a) => `address add ${a} dev eth0`),
      ...elsewhere.map((address) => `address add ${withLength(address)} dev lo`),
      'route add 10.1.0.0/16 via 192.168.99.11',
      'route add fd00:10:0:0:1::/80 via fd00:99::11',
    ]);
    this.#ip(this.node, ['route add default via 192.168.99.1', 'route add default via fd00:99::1']);
  }

  #wirePod(namespace: string, hostInterface: string, addresses: readonly string[], index: number): void {
    const [hostMac, podMac] = [`0a:00:00:00:01:0${index}`, `0a:00:00:00:02:0${index}`];
    this.#ip(this.node, [
      `link add ${hostInterface} address ${hostMac} type veth peer name eth0 address ${podMac} netns ${namespace}`,
      `link set ${hostInterface} up`,
      ...addresses.flatMap((address) => [
        `route add ${withLength(address)} dev ${hostInterface}`,
        `neighbour add ${address} lladdr ${podMac} dev ${hostInterface} nud permanent`,
      ]),
    ]);
    this.#ip(namespace, [
      'link set eth0 up',
      ...addresses.map((address) => `address add ${withLength(address)} dev eth0`),
      ...GATEWAYS.flatMap((gateway) => [
        `neighbour add ${gateway} lladdr ${hostMac} dev eth0 nud permanent`,
        `route add ${withLength(gateway)} dev eth0`,
        `route add default via ${gateway} dev eth0`,
      ]),
    ]);
  }

  #ip(namespace: string, lines: readonly string[]): void {
    execFileSync('ip', ['-n', namespace, '-batch', '-'], { encoding: 'utf8', input: `${lines.join('\n')}\n` });
  }
}

function withLength(address: string): string {
  return `${address}/${address.includes(':') ? 128 : 32}`;
}
