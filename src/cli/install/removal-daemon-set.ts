import { isJsonObject, type JsonObject } from '../../objects/field.ts';

/** The DaemonSet that takes the agents' place during an uninstallation. */
export const REMOVAL_NAME = 'romana-uninstall';

/** The labels of its pods. */
export const REMOVAL_LABELS = {
  'app.kubernetes.io/name': 'romana',
  'app.kubernetes.io/component': 'uninstall',
} as const;

/** What an earlier call has added to the arguments. */
const OWN_ARGUMENT = /^--(uninstall|force-after)\b/;

/**
 * The DaemonSet that removes what agents have made: theirs, which has all that it takes (image, rights, folders), with
 * another order, and without credentials.
 *
 * @param agents the agents' DaemonSet, or such a one of an earlier call.
 * @param forceAfterSeconds after so long the network goes although pods are connected; undefined: never.
 */
export function removalDaemonSet(agents: JsonObject, forceAfterSeconds: number | undefined): JsonObject {
  const namespace = part(agents, 'metadata')['namespace'];
  const spec = part(agents, 'spec');
  const pod = part(part(spec, 'template'), 'spec');
  const order = ['--uninstall', ...(forceAfterSeconds === undefined ? [] : [`--force-after=${forceAfterSeconds}`])];
  const containers = list(pod['containers']).map((container) => ordered(container, order));
  return {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: REMOVAL_NAME, namespace, labels: REMOVAL_LABELS },
    spec: {
      selector: { matchLabels: REMOVAL_LABELS },
      template: {
        metadata: { labels: REMOVAL_LABELS },
        spec: { ...pod, containers, automountServiceAccountToken: false },
      },
    },
  };
}

/** The container with other arguments, that nobody ends because it does not serve what agents do. */
function ordered(container: JsonObject, order: readonly string[]): JsonObject {
  const { livenessProbe: _liveness, ...rest } = container;
  const args = (list(container['args']) as readonly unknown[]).filter((arg) => !OWN_ARGUMENT.test(String(arg)));
  return { ...rest, args: [...args, ...order] };
}

function part(object: JsonObject, key: string): JsonObject {
  const value = object[key];
  return isJsonObject(value) ? value : {};
}

function list(value: unknown): readonly JsonObject[] {
  return Array.isArray(value) ? (value as readonly JsonObject[]) : [];
}
