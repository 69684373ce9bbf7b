import { err, ok, type Result } from '../../lib/result.ts';
import { isJsonObject, type JsonObject } from '../../objects/field.ts';

/** A CNI network configuration list as a runtime uses it (CNI spec 1.1, section 1). */
export interface NetworkList {
  readonly name: string;
  /** The version that plugins are called with. */
  readonly cniVersion: string;
  readonly disableCheck: boolean;
  readonly disableGC: boolean;
  /** Each plugin's configuration as written; `type` is there. */
  readonly plugins: readonly PluginConfig[];
}

/** One plugin of a list. */
export type PluginConfig = JsonObject & { readonly type: string };

/** The CNI versions that this runtime can ask for, newest last. */
export const RUNTIME_VERSIONS: readonly string[] = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'];

/** Whether CNI version `a` is at least `b`; both are dotted numbers. */
export function versionAtLeast(a: string, b: string): boolean {
  const [left, right] = [a, b].map((text) => text.split('.').map(Number));
  for (let i = 0; i < 3; i += 1) {
    const difference = (left?.[i] ?? 0) - (right?.[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

/** Of the files in /etc/cni/net.d, the one that counts: the first by name, as containerd has it. */
export function pickConfigFile(files: readonly string[]): string | undefined {
  return files.filter((file) => /\.(conf|conflist|json)$/.test(file)).sort()[0];
}

/** Parses a `.conflist`, or a single plugin's `.conf` as a list of one. Errors name the file. */
export function parseNetworkConfig(file: string, text: string): Result<NetworkList> {
  const wrong = (what: string): Result<NetworkList> => err(`CNI configuration ${file}: ${what}`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return wrong(`no JSON: ${(error as Error).message}`);
  }
  if (!isJsonObject(json)) return wrong('no JSON object');
  const { name, plugins } = json;
  if (typeof name !== 'string' || name === '') return wrong("'name' is missing");
  const list = file.endsWith('.conflist') || plugins !== undefined ? plugins : [json];
  if (!Array.isArray(list) || list.length === 0) return wrong("'plugins' must be a list with at least one plugin");
  const version = pickVersion(json);
  if (version === undefined) {
    return wrong(
      `no version that this runtime speaks (${RUNTIME_VERSIONS.join(', ')}), found ${JSON.stringify(json['cniVersion'])}`,
    );
  }
  const configs: PluginConfig[] = [];
  for (const plugin of list as readonly unknown[]) {
    const type = isJsonObject(plugin) ? plugin['type'] : undefined;
    if (typeof type !== 'string' || type === '' || type.includes('/')) return wrong("a plugin has no usable 'type'");
    configs.push(plugin as PluginConfig);
  }
  return ok({
    name,
    cniVersion: version,
    disableCheck: json['disableCheck'] === true,
    disableGC: json['disableGC'] === true,
    plugins: configs,
  });
}

/** `cniVersion`, or the newest of `cniVersions` (1.1) that both sides speak; 0.2.0 and older are not spoken. */
function pickVersion(json: JsonObject): string | undefined {
  const offered = Array.isArray(json['cniVersions']) ? (json['cniVersions'] as unknown[]) : [];
  return RUNTIME_VERSIONS.findLast((version) => version === json['cniVersion'] || offered.includes(version));
}

/** What a plugin gets on standard input (CNI spec 1.1, section 3, "Deriving request configuration"). */
export function requestConfig(
  list: NetworkList,
  plugin: PluginConfig,
  extra: { readonly prevResult?: JsonObject | undefined; readonly capabilities?: JsonObject | undefined } & JsonObject,
): JsonObject {
  const { prevResult, capabilities = {}, ...rest } = extra;
  const wanted = isJsonObject(plugin['capabilities']) ? plugin['capabilities'] : {};
  const runtimeConfig = Object.fromEntries(Object.entries(capabilities).filter(([key]) => wanted[key] === true));
  const { capabilities: _, ...config } = plugin;
  return {
    ...config,
    name: list.name,
    cniVersion: list.cniVersion,
    ...(Object.keys(runtimeConfig).length === 0 ? {} : { runtimeConfig }),
    ...(prevResult === undefined ? {} : { prevResult }),
    ...rest,
  };
}

/** The addresses that a result gives to `ifname` in the container, without prefix length, in the result's order. */
export function resultAddresses(result: JsonObject, ifname: string): readonly string[] {
  const list = (key: string): readonly JsonObject[] =>
    Array.isArray(result[key]) ? (result[key] as readonly unknown[]).filter(isJsonObject) : [];
  const interfaces = list('interfaces');
  return list('ips').flatMap(({ address, interface: index }) => {
    if (typeof address !== 'string') return [];
    // An address that names no interface belongs to the one that was asked for.
    const owner = typeof index === 'number' ? interfaces[index] : undefined;
    const inside = owner === undefined || (owner['name'] === ifname && (owner['sandbox'] ?? '') !== '');
    return inside ? [address.replace(/\/\d+$/, '')] : [];
  });
}
