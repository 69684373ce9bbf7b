import { type Family, parseAddress } from '../../addr/address.ts';
import { type Cidr, parseCidr } from '../../addr/cidr.ts';
import { clusterPlans } from '../../addr/cluster-plans.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import { formatFieldErrors } from '../../objects/meta.ts';
import { type Network, parseNetwork } from '../../objects/network.ts';
import { familiesOf, type Site } from './site.ts';

/** What a person asked of the Network; undefined is as it is, or the default. */
export interface NetworkWords {
  readonly plans: readonly string[];
  /** `4`, `6` or `4,6`. */
  readonly families: string | undefined;
  readonly segmentLabel: string | undefined;
  readonly reservedCIDRs: readonly string[];
  readonly mtu: string | undefined;
  readonly masquerade: boolean | undefined;
  readonly masqueradeExclude: readonly string[] | undefined;
}

/** The smallest MTU that carries IPv6 (RFC 8200), and the smallest of IPv4 (RFC 791), in bytes. */
const MIN_MTU = { 6: 1280, 4: 68 } as const;

/**
 * The Network that was asked for: on top of the cluster's own, where it has one, else of the defaults for the families
 * that the nodes have addresses of. What the cluster reserves is not in it yet.
 */
export function askedNetwork(words: NetworkWords, site: Site | undefined): Result<Network> {
  const before = site?.network;
  const plans = askedPlans(words, site);
  if (!plans.ok) return plans;
  const reserved = readCidrs('--reserved-cidr', words.reservedCIDRs);
  if (!reserved.ok) return reserved;
  const exclude = readCidrs('--masquerade-exclude', words.masqueradeExclude ?? []);
  if (!exclude.ok) return exclude;
  const mtu = readMtu(words.mtu, plans.value);
  if (!mtu.ok) return mtu;
  const json = {
    metadata: { name: 'default' },
    spec: {
      plans: plans.value,
      segmentLabel: words.segmentLabel ?? before?.segmentLabel,
      reservedCIDRs: [...new Set([...(before?.reservedCIDRs ?? []), ...reserved.value])],
      mtu: mtu.value ?? before?.mtu,
      masquerade: {
        enabled: words.masquerade ?? before?.masquerade.enabled,
        excludeCIDRs: words.masqueradeExclude === undefined ? before?.masquerade.excludeCIDRs : exclude.value,
      },
    },
  };
  const network = parseNetwork(json);
  return network.ok ? network : err(formatFieldErrors(network.error));
}

/** `network` with further reserved CIDRs. */
export function withReserved(network: Network, cidrs: readonly Cidr[]): Network {
  return { ...network, reservedCIDRs: [...new Set([...network.reservedCIDRs, ...cidrs])] };
}

/** Host and port of `https://HOST:PORT`; the port may be missing. */
export function parseApiServer(text: string): Result<{ readonly host: string; readonly port: number }> {
  const wrong = `--api-server ${text}: it is written as https://HOST:PORT`;
  if (!URL.canParse(text)) return err(wrong);
  const { protocol, hostname, port, pathname, search } = new URL(text);
  if (protocol !== 'https:' || hostname === '' || pathname !== '/' || search !== '') return err(wrong);
  const address = parseAddress(hostname.replace(/^\[(.*)\]$/, '$1'));
  return ok({ host: address.ok ? address.value : hostname, port: port === '' ? 443 : Number(port) });
}

type Plans = Network['plans'];

function askedPlans({ plans, families }: NetworkWords, site: Site | undefined): Result<Plans> {
  if (site?.network !== undefined && plans.length === 0 && families === undefined) return ok(site.network.plans);
  const asked = families === undefined ? ok(familiesOfPlans(plans, site)) : readFamilies(families);
  return asked.ok ? clusterPlans(plans, asked.value) : asked;
}

/** A family that a plan is given for is meant, whatever the nodes say. */
function familiesOfPlans(plans: readonly string[], site: Site | undefined): readonly Family[] {
  const found = familiesOf(site?.nodes ?? []);
  const given = clusterPlans(plans);
  const named = given.ok && plans.length > 0 ? plans.map((text) => (/^[^/]*:/.test(text) ? 6 : 4)) : [];
  return ([4, 6] as const).filter((family) => found.includes(family) || named.includes(family));
}

function readFamilies(text: string): Result<readonly Family[]> {
  if (!/^(4|6|4,6|6,4)$/.test(text)) return err(`--families ${text}: it is 4, 6 or 4,6`);
  return ok(([4, 6] as const).filter((family) => text.includes(String(family))));
}

function readCidrs(option: string, texts: readonly string[]): Result<readonly Cidr[]> {
  const cidrs: Cidr[] = [];
  for (const text of texts) {
    const cidr = parseCidr(text);
    if (!cidr.ok) return err(`${option} ${text}: ${cidr.error}`);
    cidrs.push(cidr.value);
  }
  return ok(cidrs);
}

function readMtu(text: string | undefined, plans: Plans): Result<number | undefined> {
  if (text === undefined) return ok(undefined);
  const least = Math.max(...plans.map(({ family }) => MIN_MTU[family]));
  const mtu = Number(text);
  if (/^\d{1,5}$/.test(text) && (mtu === 0 || (mtu >= least && mtu <= 65_535))) return ok(mtu);
  return err(`--mtu ${text}: it is a number of bytes from ${least} to 65535, or 0 for that of each node's uplink`);
}
