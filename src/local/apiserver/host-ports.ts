import { arrayAt, at, type ApiObject, textAt } from './api-object.ts';

/** A port of the node that a pod takes. */
export interface HostPort {
  readonly protocol: string;
  readonly port: number;
  /** Of the node; '' for all of its addresses. */
  readonly address: string;
}

/** The ports of its node that a pod's containers take. */
export function hostPortsOf(pod: ApiObject): readonly HostPort[] {
  return arrayAt(pod, 'spec', 'containers').flatMap((container) =>
    arrayAt(container, 'ports').flatMap((port): HostPort[] => {
      const number = at(port, 'hostPort');
      if (typeof number !== 'number' || number === 0) return [];
      const address = textAt(port, 'hostIP');
      const all = address === '0.0.0.0' || address === '::';
      return [{ protocol: textAt(port, 'protocol') || 'TCP', port: number, address: all ? '' : address }];
    }),
  );
}

/** Whether two pods can't have these ports on one node. */
export function portsClash(one: readonly HostPort[], other: readonly HostPort[]): boolean {
  return one.some((a) =>
    other.some(
      (b) =>
        a.protocol === b.protocol &&
        a.port === b.port &&
        (a.address === '' || b.address === '' || a.address === b.address),
    ),
  );
}
