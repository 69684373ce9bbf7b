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
  const force = forceAfterSeconds === undefined ? [] : [`--force-after=${forceAfterSeconds}`];
  const containers = list(pod['containers']).map((container) => {
    const args = list(container['args'] as readonly JsonObject[]) as readonly unknown[];
    const { livenessProbe: _liveness, ...rest } = container;
    return { ...rest, args: [...args.filter((arg) => !OWN_ARGUMENT.test(String(arg))), '--uninstall', ...force] };
  });
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

function part(object: JsonObject, key: string): JsonObject {
  const value = object[key];
  return isJsonObject(value) ? value : {};
}

function list(value: unknown): readonly JsonObject[] {
  return Array.isArray(value) ? (value as readonly JsonObject[]) : [];
}
