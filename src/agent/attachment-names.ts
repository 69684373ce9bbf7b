import { createHash } from 'node:crypto';
import type { Attachment } from '../cni/request.ts';

/** What the names of our interfaces on hosts begin with. */
export const HOST_INTERFACE_PREFIX = 'roma';

/** Whether `name` is one that `hostInterfaceName` makes. */
export function isHostInterfaceName(name: string): boolean {
  return /^roma[0-9a-f]{11}$/.test(name);
}

/**
 * The name of the host's end of an attachment's veth: 15 characters (IFNAMSIZ less one), the same for the same
 * attachment at any time, so that DEL finds it without having kept anything.
 */
export function hostInterfaceName(attachment: Attachment): string {
  return HOST_INTERFACE_PREFIX + digest(attachment).toString('hex').slice(0, 11);
}

/**
 * The MAC addresses of both ends: locally administered unicast, made of the attachment, so that the neighbour
 * entries of both sides are known before the link is, and a repeated attempt finds the same.
 */
export function attachmentMacs(attachment: Attachment): { readonly hostMac: string; readonly podMac: string } {
  const bytes = digest(attachment);
  return { hostMac: macOf(bytes.subarray(8, 14)), podMac: macOf(bytes.subarray(14, 20)) };
}

function digest({ containerId, ifname }: Attachment): Buffer {
  return createHash('sha256').update(`${containerId}/${ifname}`).digest();
}

function macOf(bytes: Uint8Array): string {
  const octets = [...bytes];
  octets[0] = ((octets[0] ?? 0) & 0xfc) | 0x02; // IEEE 802: bit 1 locally administered, bit 0 group
  return octets.map((octet) => octet.toString(16).padStart(2, '0')).join(':');
}
