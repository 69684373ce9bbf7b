import { matches } from '../objects/selector.ts';
import { ClassAnswers, NO, YES, type Answers } from './class-answers.ts';
import type { Cluster, Endpoint } from './cluster.ts';
import { classify, type EndpointClass, type EndpointClasses } from './endpoint-classes.ts';
import { evaluate, type Reason } from './evaluate.ts';
import type { Port } from './match.ts';
import { policyName, type Direction, type Peer, type Policy, type PortMatch, type Rule } from './model.ts';
import { portMatchName, portName } from './near.ts';

/** What can be wrong with a policy that an API server takes. */
export type LintRule =
  /** It fails closed, for something in it is not known or can't be enforced. */
  | 'fails-closed'
  /** No running pod is its subject. */
  | 'selects-nothing'
  /** No running pod, or no Node, is a peer. */
  | 'peer-matches-nothing'
  /** Rules of a direction that `policyTypes` leaves out. */
  | 'rules-without-effect'
  /** No container declares a port. */
  | 'no-such-port'
  /** Pods that it selects can ask no DNS server. */
  | 'no-dns'
  /** Two of a tier have the same priority: their names decide. */
  | 'equal-priorities';

/** One finding. */
export interface Finding {
  readonly rule: LintRule;
  /** As in reasons: `NetworkPolicy a/b`. */
  readonly object: string;
  readonly field: string;
  readonly message: string;
}

const DIRECTIONS = ['ingress', 'egress'] as const;
const DNS_PORTS = new Set([53, 5353]);

class Linter {
  readonly #cluster: Cluster;
  readonly #all: EndpointClasses;
  readonly #answers: ClassAnswers;
  readonly findings: Finding[] = [];

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#all = classify(cluster.world.policies, cluster.endpoints, true);
    this.#answers = new ClassAnswers(cluster.world, this.#all);
  }

  policy(policy: Policy): void {
    for (const { field, message } of policy.problems) this.#add('fails-closed', policy, field, message);
    const selected = this.#of(this.#answers.selection(policy.subject));
    if (selected.length === 0) {
      const field = policy.source === 'admin' || policy.source === 'baseline' ? 'spec.subject' : 'spec.podSelector';
      this.#add('selects-nothing', policy, field, 'selects no running pod');
    }
    for (const direction of DIRECTIONS) {
      if (policy.source === 'v1' && !policy.isolates[direction] && policy[direction].length > 0) {
        const type = direction === 'ingress' ? 'Ingress' : 'Egress';
        this.#add(
          'rules-without-effect',
          policy,
          `spec.${direction}`,
          `has no effect: spec.policyTypes has no ${type}`,
        );
        continue;
      }
      for (const rule of policy[direction]) {
        this.#peers(policy, direction, rule);
        this.#ports(policy, direction, rule, selected);
      }
    }
  }

  priorities(): void {
    const before = new Map<string, Policy>();
    for (const policy of this.#cluster.world.policies) {
      if (policy.source !== 'admin' && policy.source !== 'baseline') continue;
      const key = `${policy.source} ${policy.priority}`;
      const other = before.get(key);
      if (other === undefined) {
        before.set(key, policy);
        continue;
      }
      const text = `${policy.priority} is the priority of ${policyName(other)}, too: where both match, the first by name decides`;
      this.#add('equal-priorities', policy, 'spec.priority', text);
    }
  }

  /** Pods that are shut off from every DNS server that runs here, each policy to blame once. */
  dns(): void {
    const servers = this.#cluster.endpoints.flatMap(dnsPort);
    const blamed = new Set<string>();
    for (const [number, { party }] of this.#all.classes.entries()) {
      if (party.kind !== 'pod' || servers.length === 0) continue;
      const pod = this.#cluster.endpoints[this.#all.classOf.indexOf(number)];
      const decisions = servers
        .filter(({ endpoint }) => endpoint !== pod)
        .map((server) => ({
          server,
          decision: evaluate(this.#cluster.world, party, server.endpoint.party, server.port),
        }));
      const [first] = decisions;
      if (first === undefined || decisions.some(({ decision }) => decision.verdict === 'allow')) continue;
      const { decision, server } = first;
      const { object, field }: Reason = decision.egress.verdict === 'deny' ? decision.egress : decision.ingress;
      if (blamed.has(object)) continue;
      blamed.add(object);
      const message = `keeps ${pod?.name ?? ''} from every DNS server, such as ${server.endpoint.name} on ${portName(server.port)}`;
      this.findings.push({ rule: 'no-dns', object: object.split(', ')[0] ?? '', field, message });
    }
    if (servers.length === 0) for (const policy of this.#cluster.world.policies) this.#dnsByRules(policy);
  }

  /** Where no DNS server is in sight, it is enough that some policy lets the pods out on port 53. */
  #dnsByRules(policy: Policy): void {
    if (policy.source !== 'v1' || !policy.isolates.egress) return;
    for (const number of this.#of(this.#answers.selection(policy.subject))) {
      const selecting = this.#cluster.world.policies.filter(
        (other) =>
          other.source === 'v1' && other.isolates.egress && this.#answers.selection(other.subject)[number] === YES,
      );
      const allowed = selecting.some(({ egress }) =>
        egress.some((rule) => rule.peers.length > 0 && opensDns(rule.ports)),
      );
      if (allowed) continue;
      this.#add('no-dns', policy, 'spec', 'isolates egress, and no policy lets its pods ask a DNS server (UDP/53)');
      return;
    }
  }

  #peers(policy: Policy, direction: Direction, { peers, field }: Rule): void {
    if (peers === 'any') return;
    const list = direction === 'ingress' ? 'from' : 'to';
    for (const [i, peer] of peers.entries()) {
      if (peer.kind === 'cidrs' || this.#isSomebody(peer)) continue;
      const what = peer.kind === 'nodes' ? 'no Node' : 'no running pod';
      const at = policy.source === 'demo' ? `${field}.from[${i}]` : `${field}.${list}[${i}]`;
      this.#add('peer-matches-nothing', policy, at, `matches ${what}`);
    }
  }

  #isSomebody(peer: Peer): boolean {
    if (peer.kind === 'nodes') {
      return [...this.#cluster.hosts.values()].some(({ labels }) => matches(peer.selector, labels));
    }
    return peer.kind === 'cidrs' || this.#of(this.#answers.selection(peer.selection)).length > 0;
  }

  /** Only pods that declare any ports can be said not to have one. */
  #ports(policy: Policy, direction: Direction, rule: Rule, selected: readonly number[]): void {
    if (rule.ports === 'any') return;
    const numbers = direction === 'ingress' ? selected : this.#destinations(rule);
    const destinations = numbers
      .flatMap((number) => this.#all.classes[number] ?? [])
      .filter(({ ports }) => ports.length > 0);
    if (destinations.length === 0) return;
    const list = policy.source === 'demo' ? 'toPorts' : policy.source === 'v1' ? 'ports' : 'protocols';
    const seen = new Set<string>();
    for (const [i, match] of rule.ports.entries()) {
      if (match.ports === 'any') continue;
      // A named port of a cluster policy is one of any protocol.
      const same = rule.ports.filter((other) => isSameName(other, match));
      const asked = policy.source === 'v1' || policy.source === 'demo' ? [match] : same;
      const name = 'name' in match.ports && asked.length > 1 ? match.ports.name : portMatchName(match);
      if (seen.has(name) || destinations.some((one) => asked.some((other) => declares(one, other)))) continue;
      seen.add(name);
      const at =
        policy.source === 'v1' || policy.source === 'demo' ? `${rule.field}.${list}[${i}]` : `${rule.field}.${list}`;
      this.#add(
        'no-such-port',
        policy,
        at,
        `no container of its ${direction === 'ingress' ? 'pods' : 'peers'} declares ${name}`,
      );
    }
  }

  /** The pods that a rule of egress is about; none where addresses outside are, too. */
  #destinations({ peers }: Rule): readonly number[] {
    if (peers === 'any' || peers.some(({ kind }) => kind !== 'pods')) return [];
    return this.#of(this.#answers.peers(peers, 0));
  }

  #of(answers: Answers): readonly number[] {
    return [...answers.keys()].filter((i) => answers[i] !== NO);
  }

  #add(rule: LintRule, policy: Policy, field: string, message: string): void {
    this.findings.push({ rule, object: policyName(policy), field, message });
  }
}

function isSameName(a: PortMatch, b: PortMatch): boolean {
  if (a.ports === 'any' || b.ports === 'any') return false;
  if ('name' in a.ports) return 'name' in b.ports && a.ports.name === b.ports.name;
  return a === b;
}

function declares({ ports }: EndpointClass, { protocol, ports: wanted }: PortMatch): boolean {
  return ports.some((port) => {
    if (port.protocol !== protocol) return false;
    if (wanted === 'any') return true;
    return 'name' in wanted ? port.name === wanted.name : wanted.from <= port.port && port.port <= wanted.to;
  });
}

/** Whether UDP/53 is among the ports of a rule, or may be by name. */
function opensDns(ports: Rule['ports']): boolean {
  if (ports === 'any') return true;
  return ports.some(({ protocol, ports: wanted }) => {
    if (protocol !== 'UDP') return false;
    return wanted === 'any' || 'name' in wanted || (wanted.from <= 53 && wanted.to >= 53);
  });
}

/** The port on which an endpoint answers DNS, if it looks like one that does. */
function dnsPort(endpoint: Endpoint): readonly { readonly endpoint: Endpoint; readonly port: Port }[] {
  const found = endpoint.ports.find(
    ({ protocol, port, name }) => protocol === 'UDP' && (DNS_PORTS.has(port) || name === 'dns'),
  );
  return found === undefined ? [] : [{ endpoint, port: { protocol: 'UDP', port: found.port } }];
}

/** What in the policies of a cluster is likely not what was meant, by object, then in the order of the rules above. */
export function lint(cluster: Cluster): readonly Finding[] {
  const linter = new Linter(cluster);
  for (const policy of cluster.world.policies) linter.policy(policy);
  linter.priorities();
  linter.dns();
  return linter.findings.toSorted((a, b) => (a.object < b.object ? -1 : Number(a.object > b.object)));
}
