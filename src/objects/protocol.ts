import type { Field } from './field.ts';

/** The transport protocols that Kubernetes' policies and ports know. */
export type Protocol = 'TCP' | 'UDP' | 'SCTP';

/** Reads a protocol; a missing one is TCP, as everywhere in Kubernetes. */
export function readProtocol(field: Field): Protocol {
  return field.oneOf(['TCP', 'UDP', 'SCTP'], 'TCP');
}
