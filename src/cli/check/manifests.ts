import { apiVersionOf, DEMO_POLICIES } from '../../objects/resources.ts';
import { ISOLATION } from '../demo/manifests.ts';
import type { PlannedPod } from './plan.ts';

/** The label of all namespaces of checks; its value is the check's own word. */
export const CHECK_LABEL = 'romana.io/check';
/** The ports of pods with an address of their own: of any number, since nobody else is there. */
const PORTS = { open: 7640, shut: 7641 } as const;
/** The user that the pods run as: nobody's, as distroless images have it. */
const NOBODY = 65_532;
/** Kubelets end the pods after so long, if the check that made them was killed, in seconds. */
export const LIFE_SECONDS = 900;

/** The two namespaces of a check. */
export interface CheckNamespaces {
  readonly open: string;
  readonly isolated: string;
}

/** The namespaces of the check of this word, five characters or so. */
export function checkNamespaces(word: string): CheckNamespaces {
  return { open: `romana-check-${word}`, isolated: `romana-check-${word}-isolated` };
}

/** The Namespaces: pods on nodes' own networks are allowed in the first; the other one is isolated. */
export function namespaceManifests(word: string): readonly object[] {
  const { open, isolated } = checkNamespaces(word);
  const labels = { [CHECK_LABEL]: word };
  return [
    { name: open, labels: { ...labels, 'pod-security.kubernetes.io/enforce': 'privileged' } },
    { name: isolated, labels, annotations: { [ISOLATION]: 'on' } },
  ].map((metadata) => ({ apiVersion: 'v1', kind: 'Namespace', metadata }));
}

/** The policy that opens one port of the isolated pods; of our own kind, so that nobody else enforces it. */
export function policyManifest(word: string): object {
  const toPorts = ['TCP', 'UDP'].map((protocol) => ({ protocol, port: PORTS.open }));
  return {
    apiVersion: apiVersionOf(DEMO_POLICIES),
    kind: DEMO_POLICIES.kind,
    metadata: { name: 'open', namespace: checkNamespaces(word).isolated },
    spec: { podSelector: {}, allowIncoming: { toPorts } },
  };
}

/** A pod of the check. On a node's network it takes ports that are free. */
export function podManifest(word: string, { name, role, node }: PlannedPod, image: string): object {
  const { open, isolated } = checkNamespaces(word);
  const host = role === 'host';
  const where = host
    ? node.addresses.flatMap((address) => ['--listen', address])
    : ['--open', String(PORTS.open), '--shut', String(PORTS.shut)];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: role === 'isolated' ? isolated : open, labels: { [CHECK_LABEL]: word } },
    spec: {
      nodeName: node.name,
      hostNetwork: host,
      restartPolicy: 'Never',
      activeDeadlineSeconds: LIFE_SECONDS,
      terminationGracePeriodSeconds: 1,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      tolerations: [{ operator: 'Exists' }],
      securityContext: {
        runAsNonRoot: true,
        runAsUser: NOBODY,
        runAsGroup: NOBODY,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      containers: [
        {
          name: 'romana',
          image,
          imagePullPolicy: 'IfNotPresent',
          args: ['check-pod', 'serve', '--name', name, ...where],
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
        },
      ],
    },
  };
}

/** What is run in a pod to have orders done. */
export const OBEY: readonly string[] = ['romana', 'check-pod', 'obey'];
