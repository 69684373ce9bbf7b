import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A pod of a case; each has all the `containers`. */
export interface CasePod {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly node: string;
  readonly ip: string;
}

/** Namespaces and pods in force. */
export interface CaseResources {
  readonly namespaces: readonly { readonly name: string; readonly labels: Readonly<Record<string, string>> }[];
  readonly pods: readonly CasePod[];
}

/** A container that every pod has, with its one port. */
export interface CaseContainer {
  readonly name: string;
  readonly portName: string;
  readonly protocol: 'TCP' | 'UDP' | 'SCTP';
  readonly port: number;
}

/** By port, one text a source in the order of the endpoints, one character a destination: `.` allowed, `X` denied. */
export type CaseTable = Readonly<Record<string, readonly string[]>>;

/** An ipBlock of one of the policies of a step. */
export interface CaseBlock {
  /** `namespace/name`. */
  readonly policy: string;
  /** Where it stands in the policy: a JSON pointer. */
  readonly path: string;
  readonly cidr: { readonly cidr: string; readonly fromPod?: string };
  readonly except?: readonly object[];
  /** The pods that it means. */
  readonly matches: readonly string[];
}

/** One step of a case: everything that is in force, and who may reach whom then. */
export interface CaseStep {
  readonly actions: readonly string[];
  /** Missing: those of the whole file. */
  readonly resources?: CaseResources;
  /** NetworkPolicies as the API has them. */
  readonly policies: readonly object[];
  readonly ipBlocks?: readonly CaseBlock[];
  /** `namespace/name`, sorted. */
  readonly endpoints: readonly string[];
  /** `TCP/80`, `UDP/serve-81-udp`. */
  readonly ports: readonly string[];
  readonly expected: { readonly combined: CaseTable; readonly ingress: CaseTable; readonly egress: CaseTable };
}

/** A published case. */
export interface Case {
  readonly id: string;
  readonly tags: readonly string[];
  readonly steps: readonly CaseStep[];
}

/** The file as it is (LICENSE stands beside it). */
export interface CaseFile {
  readonly resources: CaseResources & { readonly containers: readonly CaseContainer[] };
  readonly cases: readonly Case[];
}

/** Reads cyclonus' cases for networking.k8s.io/v1 NetworkPolicy. */
export function readCyclonusCases(): CaseFile {
  return JSON.parse(readFileSync(join(import.meta.dirname, 'cyclonus.json'), 'utf8')) as CaseFile;
}

/** The step's Namespaces, Pods and NetworkPolicies as objects of the API. */
export function objectsOf(file: CaseFile, step: CaseStep): readonly object[] {
  const { namespaces, pods } = step.resources ?? file.resources;
  const containers = file.resources.containers.map(({ name, portName, protocol, port }) => ({
    name,
    image: 'agnhost',
    ports: [{ name: portName, protocol, containerPort: port }],
  }));
  return [
    ...namespaces.map((metadata) => ({ apiVersion: 'v1', kind: 'Namespace', metadata })),
    ...pods.map(({ namespace, name, labels, node, ip }) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace, name, labels },
      spec: { nodeName: node, containers },
      status: { phase: 'Running', podIP: ip, podIPs: [{ ip }] },
    })),
    ...step.policies,
  ];
}
