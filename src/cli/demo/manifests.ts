import { stringify } from 'yaml';

/** As YAML 1.1, which kubectl reads: there `on` and `off` need their quotes. */
const YAML = { version: '1.1' } as const;

/** A pod of the demo: nginx, on one node, in one segment or in none. */
export interface DemoPod {
  readonly namespace: string;
  readonly name: string;
  readonly segment?: string;
  readonly node: string;
  /** The image; nginx, by whatever name. */
  readonly image: string;
}

/**
 * The pod as YAML: the founding page's Pod with a node added. It is named, and not selected by a label, since a node's
 * label `kubernetes.io/hostname` may be another than its name.
 */
export function podManifest(pod: DemoPod): string {
  return stringify(
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: pod.name,
        namespace: pod.namespace,
        labels: { app: 'nginx', ...(pod.segment === undefined ? {} : { segment: pod.segment }) },
      },
      spec: {
        nodeName: pod.node,
        terminationGracePeriodSeconds: 1,
        containers: [
          { name: 'nginx', image: pod.image, imagePullPolicy: 'IfNotPresent', ports: [{ containerPort: 80 }] },
        ],
      },
    },
    YAML,
  );
}

/** The 2016 annotation that isolates a namespace. */
export const ISOLATION = 'net.alpha.kubernetes.io/network-isolation';

/** A tenant's Namespace as on the founding page, isolated or not. */
export function tenantManifest(name: string, isolated: boolean): string {
  return stringify(
    {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name, labels: { name }, annotations: { [ISOLATION]: isolated ? 'on' : 'off' } },
    },
    YAML,
  );
}

/** `romana apply` or `delete` of a text, as it can be pasted into a shell. */
export function pasted(command: string, manifests: readonly string[]): string {
  return `${command} <<'END'\n${manifests.map((text) => text.trimEnd()).join('\n---\n')}\nEND`;
}
