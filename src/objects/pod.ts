import { parseAddress, type Address } from '../addr/address.ts';
import type { Field } from './field.ts';
import { parseObject, type Labels, type Meta, type Parsed } from './meta.ts';
import { readProtocol, type Protocol } from './protocol.ts';

/** A port that a container declares. */
export interface ContainerPort {
  /** '' when it has no name. */
  readonly name: string;
  readonly protocol: Protocol;
  /** 1 to 65535. */
  readonly port: number;
}

/** A pod: an endpoint, unless it is on the host's network. */
export interface Pod {
  /** Of the annotations only the one that `configHash` reads: others may be long, and there are many pods. */
  readonly meta: Meta;
  /** '' until it is scheduled. */
  readonly nodeName: string;
  readonly hostNetwork: boolean;
  /** Pending, Running, Succeeded, Failed or Unknown; '' where there is no status. */
  readonly phase: string;
  /** status.podIPs, or podIP where there are none; empty until the node has reported them. */
  readonly addresses: readonly Address[];
  /** Of the containers that run beside each other: the ordinary ones and restartable init containers (KEP-753). */
  readonly ports: readonly ContainerPort[];
  readonly serviceAccountName: string;
}

function readPort(field: Field): ContainerPort {
  return {
    name: field.get('name').string(''),
    protocol: readProtocol(field.get('protocol')),
    port: field.get('containerPort').integer(1, 65_535),
  };
}

function readPorts(spec: Field): readonly ContainerPort[] {
  const sidecars = spec
    .get('initContainers')
    .items()
    .filter((container) => container.get('restartPolicy').value === 'Always');
  return [...spec.get('containers').items(), ...sidecars].flatMap((container) => container.get('ports').list(readPort));
}

function readAddresses(status: Field): readonly Address[] {
  const many = status.get('podIPs').list((item) => item.get('ip').parsed(parseAddress));
  if (many.length > 0) return [...new Set(many)];
  const one = status.get('podIP');
  // Early API servers wrote "" for an address that is not there yet.
  const address = one.absent || one.value === '' ? undefined : one.parsed(parseAddress);
  return address === undefined ? [] : [address];
}

const CONFIG_HASH = 'kubernetes.io/config.hash';
const NO_ANNOTATIONS: Labels = new Map();

function keptAnnotations({ annotations }: Meta): Labels {
  const hash = annotations.get(CONFIG_HASH);
  return hash === undefined ? NO_ANNOTATIONS : new Map([[CONFIG_HASH, hash]]);
}

/** Parses a core/v1 Pod. */
export function parsePod(json: unknown): Parsed<Pod> {
  return parseObject(json, { apiVersion: 'v1', kind: 'Pod' }, { nulls: 'absent' }, (object, meta) => {
    const spec = object.get('spec');
    const status = object.get('status');
    return {
      meta: { ...meta, annotations: keptAnnotations(meta) },
      nodeName: spec.get('nodeName').string(''),
      hostNetwork: spec.get('hostNetwork').boolean(false),
      phase: status.get('phase').string(''),
      addresses: readAddresses(status),
      ports: readPorts(spec),
      serviceAccountName: spec.get('serviceAccountName').string(''),
    };
  });
}

/** Whether all of the pod's containers have ended for good; such a pod is none for policy (R7). */
export function podFinished(pod: Pod): boolean {
  return pod.phase === 'Succeeded' || pod.phase === 'Failed';
}

/**
 * The uid under which a static pod's node knows it: the kubelet passes this hash, not the uid of the mirror pod,
 * as K8S_POD_UID. Undefined for other pods.
 */
export function configHash(pod: Pod): string | undefined {
  return pod.meta.annotations.get(CONFIG_HASH);
}
