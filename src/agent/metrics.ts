import { reflectorMetrics } from '../kube/reflector-metrics.ts';
import { Counter, Gauge, Histogram, Registry } from '../lib/prometheus.ts';

const SECONDS = [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.5, 2];

/** What an agent counts, on a registry of its own; names begin with `romana_agent_`. */
export class AgentMetrics {
  readonly registry = new Registry();
  /** What names single pods, which not everybody is shown. */
  readonly podRegistry = new Registry();

  /** What the watches are sent. */
  readonly reflector = reflectorMetrics(this.registry, 'romana_agent');
  readonly unreadable = new Gauge({
    name: 'romana_agent_unreadable_objects',
    help: 'Objects of the API server that this agent cannot read; the log says which, and why.',
    labelNames: ['resource'],
    registers: [this.registry],
  });
  readonly endpoints = new Gauge({
    name: 'romana_agent_endpoints',
    help: 'Addresses of this host in use, of segments and of the shared pool.',
    labelNames: ['kind'],
    registers: [this.registry],
  });
  readonly cniRequests = new Counter({
    name: 'romana_agent_cni_requests_total',
    help: 'CNI calls by command and the code of their answer (0 is success).',
    labelNames: ['command', 'code'],
    registers: [this.registry],
  });
  readonly cniSeconds = new Histogram({
    name: 'romana_agent_cni_seconds',
    help: 'Time from a CNI call to its answer.',
    labelNames: ['command'],
    buckets: SECONDS,
    registers: [this.registry],
  });
  readonly planSeconds = new Histogram({
    name: 'romana_agent_plan_seconds',
    help: 'Time to work out links, routes and rules from a snapshot.',
    buckets: SECONDS,
    registers: [this.registry],
  });
  readonly nftTransactions = new Counter({
    name: 'romana_agent_nft_transactions_total',
    help: 'Transactions that changed our table, by kind: elements, delta or whole.',
    labelNames: ['kind'],
    registers: [this.registry],
  });
  readonly nftSeconds = new Histogram({
    name: 'romana_agent_nft_seconds',
    help: 'Time from a plan to the commit of the transaction that it needs, by kind: elements, delta or whole.',
    labelNames: ['kind'],
    buckets: SECONDS,
    registers: [this.registry],
  });
  readonly nftErrors = new Counter({
    name: 'romana_agent_nft_errors_total',
    help: 'Transactions that the kernel or libnftables refused.',
    registers: [this.registry],
  });
  readonly repairs = new Counter({
    name: 'romana_agent_repairs_total',
    help: 'What others had changed in the kernel and was put back: our nftables table, routes, neighbours, forwarding, links left behind.',
    labelNames: ['what'],
    registers: [this.registry],
  });
  readonly routeChanges = new Counter({
    name: 'romana_agent_route_changes_total',
    help: 'Routes added, replaced or removed.',
    registers: [this.registry],
  });
  readonly revoked = new Counter({
    name: 'romana_agent_connections_cut_total',
    help: 'Open connections cut because policy forbids them now.',
    registers: [this.registry],
  });
  readonly pardoned = new Counter({
    name: 'romana_agent_connections_pardoned_total',
    help: 'Cut connections that go on because policy allows them again.',
    registers: [this.registry],
  });
  readonly collected = new Counter({
    name: 'romana_agent_attachments_collected_total',
    help: 'Attachments freed because their sandbox is gone, for which no DEL came.',
    registers: [this.registry],
  });
  readonly appliedVersion = new Gauge({
    name: 'romana_agent_applied_resource_version',
    help: 'Everything that the API server had up to this resource version is in the kernel; 0 before the first time.',
    registers: [this.registry],
  });
  readonly warnings = new Gauge({
    name: 'romana_agent_warnings',
    help: 'Things that work less well than they should; the log says which.',
    registers: [this.registry],
  });
  readonly unenforcedPolicies = new Gauge({
    name: 'romana_agent_policies_failing_closed',
    help: 'Policies that select pods of this host and of which something is not enforced but fails closed.',
    registers: [this.registry],
  });
  readonly peerWatches = new Gauge({
    name: 'romana_agent_peer_watches',
    help: 'Watches on pods of other hosts that policies in force here name by labels.',
    registers: [this.registry],
  });
  readonly accepted = new Counter({
    name: 'romana_agent_connections_accepted_total',
    help: 'Connections of pods here that policy let through, counted by the kernel at their first packet: a connection between two pods here counts for both. Begins anew when our table is put whole, as at the start of the agent.',
    labelNames: ['namespace', 'pod', 'direction'],
    registers: [this.podRegistry],
  });
  readonly denied = new Counter({
    name: 'romana_agent_connections_denied_total',
    help: 'Attempts at connections that policy denied to a pod here. The kernel forgets an attempt that it drops, so that each packet of it counts: a TCP connect that is repeated, once for each SYN. Begins anew when our table is put whole, as at the start of the agent.',
    labelNames: ['namespace', 'pod', 'direction'],
    registers: [this.podRegistry],
  });
  readonly deniedTold = new Counter({
    name: 'romana_agent_denied_packets_told_total',
    help: 'Denied packets of which the kernel told the agent, within its limits: 2 a second for each pod and direction, 20 for all pods in each direction.',
    labelNames: ['direction'],
    registers: [this.registry],
  });
  readonly deniedLost = new Counter({
    name: 'romana_agent_denied_packets_lost_total',
    help: 'Denied packets of which the kernel told and that did not reach the agent (ENOBUFS).',
    registers: [this.registry],
  });
  readonly deniedEvents = new Counter({
    name: 'romana_agent_denied_events_total',
    help: 'Events on pods of denied connections: recorded, or left out because there were too many.',
    labelNames: ['result'],
    registers: [this.registry],
  });
  readonly deniedListening = new Gauge({
    name: 'romana_agent_denied_listening',
    help: 'Whether the kernel tells the agent of denied packets; 0 while another program has its NFLOG group; not there with --nflog-group none.',
    registers: [this.registry],
  });
}
