import { stringify } from 'yaml';
import { isJsonObject, type JsonObject } from '../../objects/field.ts';
import type { DeployManifests } from './deploy-manifests.ts';

/** When nodes look for a newer image of the same name (core/v1 Container). */
export const PULL_POLICIES = ['Always', 'IfNotPresent', 'Never'] as const;
/** One of `PULL_POLICIES`. */
export type PullPolicy = (typeof PULL_POLICIES)[number];

/** What differs between installations. What is missing is as in deploy/base. */
export interface InstallOptions {
  /** The Network object. The controller makes it when the cluster has none. */
  readonly network?: JsonObject | undefined;
  /**
   * Whether the Network is also among the objects, last: for clusters that have the kind already. kubectl cannot apply
   * it in the same call as its CustomResourceDefinition.
   */
  readonly withNetwork?: boolean | undefined;
  /** Of agent and controller, as container runtimes name images. */
  readonly image?: string | undefined;
  readonly imagePullPolicy?: PullPolicy | undefined;
  /** Where the parts find the API server, for clusters in which nothing serves the Service `kubernetes`. */
  readonly apiServer?: { readonly host: string; readonly port: number } | undefined;
  /** Whether the demo's tenants come with it. */
  readonly demo?: boolean | undefined;
}

/** The ConfigMap with the Network that the controller makes. */
const NETWORK_CONFIG = { name: 'romana-network', key: 'network.yaml' };

/** The objects of an installation, in the order in which they are to be applied. */
export function installObjects(manifests: DeployManifests, options: InstallOptions): readonly JsonObject[] {
  const { network, withNetwork = false, demo = false } = options;
  const base = manifests.base.map((object) => withNetworkText(withContainers(object, options), network));
  return [...base, ...(demo ? manifests.demo : []), ...(withNetwork && network !== undefined ? [network] : [])];
}

function withNetworkText(object: JsonObject, network: JsonObject | undefined): JsonObject {
  const metadata = object['metadata'];
  const meant = object['kind'] === 'ConfigMap' && isJsonObject(metadata) && metadata['name'] === NETWORK_CONFIG.name;
  return meant && network !== undefined ? { ...object, data: { [NETWORK_CONFIG.key]: stringify(network) } } : object;
}

/** `object` with its containers as `options` say, if it runs any. */
function withContainers(object: JsonObject, options: InstallOptions): JsonObject {
  if (object['kind'] !== 'DaemonSet' && object['kind'] !== 'Deployment') return object;
  return changed(object, ['spec', 'template', 'spec'], (pod) => {
    const containers = (key: string): object =>
      Array.isArray(pod[key])
        ? { [key]: (pod[key] as readonly JsonObject[]).map((container) => withSettings(container, options)) }
        : {};
    return { ...pod, ...containers('initContainers'), ...containers('containers') };
  });
}

function withSettings(container: JsonObject, { image, imagePullPolicy, apiServer }: InstallOptions): JsonObject {
  const env = Array.isArray(container['env']) ? (container['env'] as readonly unknown[]) : [];
  return {
    ...container,
    ...(image === undefined ? {} : { image }),
    ...(imagePullPolicy === undefined ? {} : { imagePullPolicy }),
    ...(apiServer === undefined
      ? {}
      : {
          env: [
            ...env,
            { name: 'KUBERNETES_SERVICE_HOST', value: apiServer.host },
            { name: 'KUBERNETES_SERVICE_PORT', value: String(apiServer.port) },
          ],
        }),
  };
}

/** `object` with the object at `path` replaced by what `change` makes of it. */
function changed(object: JsonObject, path: readonly string[], change: (inner: JsonObject) => JsonObject): JsonObject {
  const [key, ...rest] = path;
  if (key === undefined) return change(object);
  const inner = object[key];
  return isJsonObject(inner) ? { ...object, [key]: changed(inner, rest, change) } : object;
}
