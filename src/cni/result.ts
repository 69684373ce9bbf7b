import { type Address, familyOf } from '../addr/address.ts';
import { CNI_VERSIONS, type CniVersion, atLeast } from './version.ts';

/** What ADD made, as the container runtime is told in the shape of its CNI version. */
export interface CniResult {
  readonly hostInterface: string;
  readonly hostMac: string;
  /** Inside the container. */
  readonly ifname: string;
  readonly podMac: string;
  /** Path of the container's network namespace. */
  readonly sandbox: string;
  /** Of both interfaces, in bytes. */
  readonly mtu: number;
  /** At most one of each family, each with the gateway that its default route goes through. */
  readonly addresses: readonly { readonly address: Address; readonly gateway: Address }[];
}

/**
 * The JSON of a successful ADD (https://www.cni.dev/docs/spec/#success). 0.3.x and 0.4.0 name the family of every
 * address, 1.1.0 adds the MTU. Addresses are /32 and /128: pods share no link.
 */
export function resultJson(result: CniResult, version: CniVersion): object {
  const mtu = atLeast(version, '1.1.0') ? { mtu: result.mtu } : {};
  const ips = result.addresses.map(({ address, gateway }) => ({
    ...(atLeast(version, '1.0.0') ? {} : { version: String(familyOf(address)) }),
    interface: 1,
    address: `${address}/${familyOf(address) === 4 ? 32 : 128}`,
    gateway,
  }));
  return {
    cniVersion: version,
    interfaces: [
      { name: result.hostInterface, mac: result.hostMac, ...mtu },
      { name: result.ifname, mac: result.podMac, sandbox: result.sandbox, ...mtu },
    ],
    ips,
    routes: result.addresses.map(({ address, gateway }) => ({
      dst: familyOf(address) === 4 ? '0.0.0.0/0' : '::/0',
      gw: gateway,
    })),
    dns: {},
  };
}

/**
 * The JSON of a successful ADD that follows on other plugins of a chain: what they made and then what we made, since
 * a plugin hands on what it was given (https://www.cni.dev/docs/spec/#add-add-container-to-network-or-apply-modifications).
 */
export function chainedResultJson(previous: object | undefined, result: CniResult, version: CniVersion): object {
  const ours = resultJson(result, version);
  if (previous === undefined) return ours;
  const before = listOf(previous, 'interfaces').length;
  const moved = listOf(ours, 'ips').map((ip) => Object.assign({}, ip, { interface: Number(ip['interface']) + before }));
  return {
    dns: {},
    ...previous,
    cniVersion: version,
    interfaces: [...listOf(previous, 'interfaces'), ...listOf(ours, 'interfaces')],
    ips: [...listOf(previous, 'ips'), ...moved],
    routes: [...listOf(previous, 'routes'), ...listOf(ours, 'routes')],
  };
}

/**
 * What of the result `previous` of the plugins before ours keeps us from making `ifname`, one sentence; undefined
 * when nothing does.
 */
export function chainConflict(previous: object | undefined, ifname: string): string | undefined {
  const taken = listOf(previous ?? {}, 'interfaces').some(
    ({ name, sandbox }) => name === ifname && typeof sandbox === 'string' && sandbox !== '',
  );
  if (!taken) return undefined;
  return `a plugin before romana has made ${ifname} in the container, which is what romana does: one of them must leave the chain`;
}

/** The JSON of a successful VERSION; `cniVersion` is the one that was asked with, '' when there was none. */
export function versionJson(cniVersion: string): object {
  return { cniVersion: cniVersion === '' ? CNI_VERSIONS.at(-1) : cniVersion, supportedVersions: CNI_VERSIONS };
}

/**
 * What of ADD's result `previous` no longer names what the pod has, one sentence each; empty when it agrees. Only
 * names and addresses are compared, which every version has.
 */
export function previousProblems(previous: object, now: CniResult): readonly string[] {
  const problems: string[] = [];
  const names = new Set(listOf(previous, 'interfaces').map(({ name }) => name));
  for (const name of [now.hostInterface, now.ifname]) {
    if (!names.has(name)) problems.push(`prevResult has no interface ${name}`);
  }
  const addresses = new Set<string>();
  for (const ip of listOf(previous, 'ips')) {
    if (typeof ip['address'] === 'string') addresses.add(ip['address'].replace(/\/\d+$/, ''));
  }
  for (const { address } of now.addresses) {
    if (!addresses.has(address)) problems.push(`prevResult has no address ${address}`);
  }
  return problems;
}

function listOf(json: object, key: string): readonly Readonly<Record<string, unknown>>[] {
  const list = (json as Readonly<Record<string, unknown>>)[key];
  if (!Array.isArray(list)) return [];
  return (list as readonly unknown[]).filter(
    (item): item is Readonly<Record<string, unknown>> => typeof item === 'object' && item !== null,
  );
}
