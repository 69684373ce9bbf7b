import { stringify } from 'yaml';
import type { KubeClient } from '../../kube/client.ts';
import type { Result } from '../../lib/result.ts';
import { heldByHosts } from '../../objects/id-space.ts';
import { asksForOther, type Network, networkToJson, plansText } from '../../objects/network.ts';
import { describeCapacity, hostIdsLeft } from './capacity.ts';
import type { DeployManifests } from './deploy-manifests.ts';
import { installObjects, type PullPolicy } from './install-objects.ts';
import { Refusal } from './refusal.ts';
import { describeReservation, foundReservations, hitHost } from './reservations.ts';
import { askedNetwork, type NetworkWords, parseApiServer, withReserved } from './settings.ts';
import { readSite, type Site } from './site.ts';

/** What a person typed behind `romana install`. */
export interface InstallArguments extends NetworkWords {
  readonly apiServer: string | undefined;
  readonly image: string | undefined;
  readonly imagePullPolicy: PullPolicy | undefined;
  readonly demo: boolean;
  /** Do not look at any cluster. */
  readonly offline: boolean;
  readonly output: 'yaml' | 'json';
}

/** What `installCommand` works with. */
export interface InstallDependencies {
  /** The cluster that it is for and what it is called; an error when there is none. */
  connect(): Promise<Result<{ readonly client: KubeClient; readonly describe: string }>>;
  manifests(): Promise<DeployManifests>;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

/** As YAML 1.1, which kubectl reads: there `on`, the isolation of the demo's tenants, needs its quotes. */
const YAML = { version: '1.1' } as const;

/**
 * `romana install`: prints the manifests of an installation, for `kubectl apply -f -`; says on stderr what reserved
 * CIDRs take and what room is left. Resolves to the exit status: 0; 1 when the cluster is in the way, 2 for bad words.
 */
export async function installCommand(args: InstallArguments, deps: InstallDependencies): Promise<0 | 1 | 2> {
  const say = (line: string): void => void deps.stderr.write(`romana: ${line}\n`);
  try {
    const apiServer = args.apiServer === undefined ? undefined : checked(parseApiServer(args.apiServer));
    const site = await look(args, deps, say);
    const network = fitNetwork(checked(askedNetwork(args, site)), site, say);
    for (const line of describeCapacity(network, site)) say(line);
    const { image, imagePullPolicy, demo } = args;
    const objects = installObjects(await deps.manifests(), {
      network: networkToJson(network),
      withNetwork: site?.installed === true,
      image,
      imagePullPolicy,
      apiServer,
      demo,
    });
    deps.stdout.write(
      args.output === 'json'
        ? `${JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }, undefined, 2)}\n`
        : objects.map((object) => stringify(object, YAML)).join('---\n'),
    );
    return 0;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    say(error.message);
    return error.status;
  }
}

function checked<T>(result: Result<T>): T {
  if (result.ok) return result.value;
  throw new Refusal(2, result.error);
}

async function look(
  { offline }: InstallArguments,
  { connect }: InstallDependencies,
  say: (line: string) => void,
): Promise<Site | undefined> {
  const unfitted = 'what services and nodes have is not reserved; add it by --reserved-cidr';
  if (offline) {
    say(`looks at no cluster, as asked: ${unfitted}`);
    return undefined;
  }
  const found = await connect();
  if (!found.ok) {
    say(`${found.error}: ${unfitted}`);
    return undefined;
  }
  say(`for ${found.value.describe}`);
  try {
    return await readSite(found.value.client);
  } catch (error) {
    throw new Refusal(1, `could not look at that cluster: ${(error as Error).message}; --offline does without`);
  }
}

/** The Network with what the cluster reserves. */
function fitNetwork(asked: Network, site: Site | undefined, say: (line: string) => void): Network {
  const known = new Set(site?.network?.reservedCIDRs ?? []);
  const found = site === undefined ? [] : foundReservations(site, asked.plans);
  const own = asked.reservedCIDRs.filter((cidr) => found.every((other) => other.cidr !== cidr));
  const reservations = [...found, ...own.map((cidr) => ({ cidr, of: known.has(cidr) ? 'as before' : 'as asked' }))];
  for (const reservation of reservations) say(describeReservation(reservation, asked.plans));
  if (site !== undefined && site.serviceCIDRs === undefined) {
    say('the cluster does not tell where Services get their addresses from: add it by --reserved-cidr');
  }
  const network = withReserved(
    asked,
    found.map(({ cidr }) => cidr),
  );
  const added = reservations.filter(({ cidr }) => !known.has(cidr));
  const inTheWay = refusal(network, site) ?? hitHost(added, site?.hosts ?? [], network.plans);
  if (inTheWay !== undefined) throw new Refusal(1, inTheWay);
  return network;
}

function refusal(network: Network, site: Site | undefined): string | undefined {
  const hosts = site?.hosts ?? [];
  const held = heldByHosts(network, hosts) ?? (hosts.length > 0 ? otherNetwork(network, site?.network) : undefined);
  if (held !== undefined) return held;
  if (hosts.length > 0 || hostIdsLeft(network, undefined) > 0) return undefined;
  return `reserved CIDRs (${network.reservedCIDRs.join(', ')}) take all host ids of the plans: take other plans, by --plan`;
}

/** What of a Network cannot change while pods have addresses by it, although every host would keep its range. */
function otherNetwork(network: Network, before: Network | undefined): string | undefined {
  if (before === undefined || !asksForOther(network, before)) return undefined;
  const [from, to] = [before, network].map(({ plans, segmentLabel }) => `${plansText(plans)} by label ${segmentLabel}`);
  return (
    `the address plan and the segment label cannot change from ${from} to ${to} while there are hosts: pods have ` +
    'addresses by them; remove all nodes first'
  );
}
