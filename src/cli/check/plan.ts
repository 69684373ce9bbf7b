import { type Address, familyOf, type Family } from '../../addr/address.ts';
import { ANSWERED, type Doors, DROPPED, type Order } from './orders.ts';
import { type CheckedNode, inFamily, isOutside, type Target, type World } from './world.ts';

/**
 * The pods of the check on a node: `client` asks, `peer` is another one beside it, `host` is on the node's own network,
 * `isolated` is in the isolated namespace.
 */
export type Role = 'client' | 'peer' | 'host' | 'isolated';

/** A pod to be made. */
export interface PlannedPod {
  readonly name: string;
  readonly role: Role;
  readonly node: CheckedNode;
}

/** A pod that runs and has said where it listens. */
export interface ListeningPod {
  readonly addresses: readonly Address[];
  readonly doors: readonly Doors[];
}

/** What one row of the table is about. */
export interface PlannedRow {
  readonly from: PlannedPod | undefined;
  readonly to: string;
  /** Undefined where it is the pod's own choice. */
  readonly family: Family | undefined;
  readonly expected: string;
  readonly aim:
    | { readonly kind: 'talk'; readonly pod: PlannedPod; readonly door: 'open' | 'shut' }
    | { readonly kind: 'knock'; readonly pod: PlannedPod }
    | { readonly kind: 'connect'; readonly target: Target }
    | { readonly kind: 'resolve'; readonly service: string; readonly addresses: readonly Address[] }
    /** It can't be tried in this cluster. */
    | { readonly kind: 'none'; readonly why: string };
}

/** All that a check does. */
export interface CheckPlan {
  readonly pods: readonly PlannedPod[];
  readonly rows: readonly PlannedRow[];
}

const ROLES: readonly Role[] = ['client', 'peer', 'host', 'isolated'];

/** What a pod is called in the table. */
export function podText({ role, node }: PlannedPod): string {
  if (role === 'host') return `node ${node.name}`;
  return `${role === 'isolated' ? 'isolated pod' : 'pod'} on ${node.name}`;
}

/**
 * What to check of a cluster, on the nodes given, which take pods: each with itself, and each with each other.
 *
 * @param outside what is to be reached outside the cluster; undefined: the API server, where it is outside.
 */
export function planCheck(
  world: World,
  nodes: readonly CheckedNode[],
  outside: readonly Target[] | undefined,
): CheckPlan {
  const pods = nodes.flatMap((node, i) => ROLES.map((role) => ({ role, node, name: `${role}-${i}` })));
  const on = (node: CheckedNode, role: Role): PlannedPod => {
    const pod = pods.find((one) => one.node === node && one.role === role);
    if (pod === undefined) throw new Error(`no pod is planned on ${node.name}`);
    return pod;
  };
  const talks = (from: PlannedPod, pod: PlannedPod, door: 'open' | 'shut' = 'open', to = podText(pod)): PlannedRow[] =>
    world.families.map((family) => ({ from, to, family, expected: ANSWERED, aim: { kind: 'talk', pod, door } }));
  const knocks = (from: PlannedPod, pod: PlannedPod): PlannedRow[] =>
    world.families.map((family) => ({
      from,
      to: podText(pod),
      family,
      expected: DROPPED,
      aim: { kind: 'knock', pod },
    }));

  const alone = nodes.flatMap((node) =>
    [
      talks(on(node, 'client'), on(node, 'peer'), 'open', `another pod on ${node.name}`),
      talks(on(node, 'client'), on(node, 'host')),
      talks(on(node, 'host'), on(node, 'peer')),
    ].flat(),
  );
  const pairs = nodes.flatMap((a) => nodes.filter((b) => b !== a).map((b) => [a, b] as const));
  const across = pairs.flatMap(([a, b]) =>
    [
      talks(on(a, 'client'), on(b, 'peer')),
      talks(on(a, 'client'), on(b, 'host')),
      talks(on(a, 'host'), on(b, 'peer')),
    ].flat(),
  );
  const policy = nodes.flatMap((node, i) => {
    const isolated = on(node, 'isolated');
    const next = nodes[(i + 1) % nodes.length] ?? node;
    return [
      knocks(on(node, 'client'), isolated),
      next === node ? [] : knocks(on(next, 'client'), isolated),
      // As the kubelet's probes.
      talks(on(node, 'host'), isolated, 'shut'),
    ].flat();
  });
  const clients = nodes.map((node) => on(node, 'client'));
  return {
    pods,
    rows: [
      ...alone,
      ...(nodes.length > 1 ? across : [notTried('pods on other nodes', onlyOne(nodes))]),
      ...policy,
      ...serviceRows(world, clients),
      ...outsideRows(world, clients, outside),
    ],
  };
}

function onlyOne(nodes: readonly CheckedNode[]): string {
  return nodes.length === 0 ? 'no node takes pods' : `${nodes[0]?.name} is the only node that was looked at`;
}

function notTried(to: string, why: string): PlannedRow {
  return { from: undefined, to, family: undefined, expected: ANSWERED, aim: { kind: 'none', why } };
}

function serviceRows({ apiService }: World, clients: readonly PlannedPod[]): readonly PlannedRow[] {
  if (apiService === undefined) {
    const why = 'this API server has no Services';
    return [notTried("the API server's ClusterIP", why), notTried("the cluster's DNS", why)];
  }
  const aim = { kind: 'resolve', service: 'kubernetes.default', addresses: apiService.map((t) => t.address) } as const;
  return clients.flatMap((from) =>
    [
      apiService.map((target) => targetRow(from, "the API server's ClusterIP", target)),
      { from, to: "kubernetes.default by the cluster's DNS", family: undefined, expected: ANSWERED, aim },
    ].flat(),
  );
}

function targetRow(from: PlannedPod, what: string, target: Target): PlannedRow {
  const { address, port } = target;
  const family = familyOf(address);
  const to = `${what}, ${family === 6 ? `[${address}]` : address}:${port}`;
  return { from, to, family, expected: ANSWERED, aim: { kind: 'connect', target } };
}

function outsideRows(
  world: World,
  clients: readonly PlannedPod[],
  given: readonly Target[] | undefined,
): readonly PlannedRow[] {
  const targets = given ?? world.apiServer.filter(({ address }) => isOutside(world, address));
  if (targets.length === 0) {
    const known = world.apiServer.map(({ address }) => address).join(', ');
    const why = known === '' ? '' : `, the API server's own, ${known}, is a node's`;
    return [notTried('outside', `no address there is known (--outside ADDRESS:PORT)${why}`)];
  }
  return clients.flatMap((from) =>
    targets.map((target) =>
      world.families.includes(familyOf(target.address))
        ? targetRow(from, 'outside', target)
        : notTried(`outside, ${target.address}`, `pods have no IPv${familyOf(target.address)} addresses`),
    ),
  );
}

/**
 * A row as an order to the pod it starts from, once that and its target listen.
 *
 * @returns in words why it can't be tried; `wrong` where that is a fault by itself
 */
export function orderOf(
  row: PlannedRow,
  id: number,
  listening: ReadonlyMap<string, ListeningPod>,
): Order | { readonly why: string; readonly wrong: boolean } {
  const { aim, from, family } = row;
  if (aim.kind === 'none' || from === undefined)
    return { why: aim.kind === 'none' ? aim.why : 'nobody asks', wrong: false };
  const asks = listening.get(from.name);
  if (asks === undefined) return { why: `${podText(from)} does not run`, wrong: false };
  if (aim.kind === 'connect') return { id, kind: 'connect', ...aim.target };
  if (aim.kind === 'resolve') return { id, kind: 'resolve', service: aim.service, addresses: aim.addresses };
  const answers = listening.get(aim.pod.name);
  if (answers === undefined) return { why: `${podText(aim.pod)} does not run`, wrong: false };
  if (family === undefined) throw new Error('a row from pod to pod has a family');
  const source = addressOf(from, asks, family);
  const target = addressOf(aim.pod, answers, family);
  const without = source === undefined ? from : aim.pod;
  if (source === undefined || target === undefined)
    return { why: `${podText(without)} has no IPv${family} address`, wrong: without.role !== 'host' };
  const doors = answers.doors.find(({ address }) => address === '' || address === target);
  if (doors === undefined) throw new Error(`${aim.pod.name} does not listen at ${target}`);
  const whom = { id, address: target, name: aim.pod.name };
  if (aim.kind === 'knock') return { ...whom, kind: 'knock', doors: { open: doors.open, shut: doors.shut } };
  return { ...whom, kind: 'talk', ports: doors[aim.door], source: from.role === 'host' ? '' : source };
}

/** A node has the addresses that its pod could listen at. */
function addressOf({ role, node }: PlannedPod, pod: ListeningPod, family: Family): Address | undefined {
  if (role !== 'host') return inFamily(pod.addresses, family);
  const bound = new Set(pod.doors.map(({ address }) => address));
  return inFamily(
    node.addresses.filter((address) => bound.has(address)),
    family,
  );
}
