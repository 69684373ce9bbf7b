import { BodyWriter, readAttributes, readText } from './netlink-codec.ts';
import type { MessageView, NetlinkRequest } from './netlink-codec.ts';
import { type PacketHeaders, readPacket } from './packet.ts';

// linux/netfilter/nfnetlink.h, linux/netfilter/nfnetlink_log.h; numbers in attributes are in network order.
const NFNL_SUBSYS_ULOG = 4;
const NFULNL_MSG_PACKET = NFNL_SUBSYS_ULOG << 8;
const NFULNL_MSG_CONFIG = (NFNL_SUBSYS_ULOG << 8) | 1;
const NFULA_PAYLOAD = 9;
const NFULA_PREFIX = 10;
const NFULA_SEQ = 12;
const NFULA_CFG_CMD = 1;
const NFULA_CFG_MODE = 2;
const NFULA_CFG_TIMEOUT = 4;
const NFULA_CFG_FLAGS = 6;
const NFULNL_CFG_CMD_BIND = 1;
const NFULNL_COPY_PACKET = 2;
const NFULNL_CFG_F_SEQ = 1;
const NFGENMSG_BYTES = 4;

/** The kernel gathers packets for so long, in hundredths of a second, so that a burst wakes the agent up once. */
const GATHER = 10;

/** A packet that a rule with `log group` told of. */
export interface LoggedPacket extends PacketHeaders {
  /** What the rule says with `log prefix`. */
  readonly prefix: string;
}

/** Asks for the packets of a group; how much of each is copied, its rule says (`snaplen`). */
export function bindRequest(group: number): NetlinkRequest {
  const body = new BodyWriter()
    .u8(0)
    .u8(0)
    .u8(group >> 8)
    .u8(group & 0xff);
  body.attribute(NFULA_CFG_CMD, Uint8Array.of(NFULNL_CFG_CMD_BIND));
  // `struct nfulnl_msg_config_mode`: the most that is copied, as a number of 32 bits; the mode; one byte more.
  body.attribute(NFULA_CFG_MODE, Uint8Array.of(0, 0, 0xff, 0xff, NFULNL_COPY_PACKET, 0));
  body.attribute(NFULA_CFG_TIMEOUT, Uint8Array.of(0, 0, 0, GATHER));
  body.attribute(NFULA_CFG_FLAGS, Uint8Array.of(0, NFULNL_CFG_F_SEQ));
  return { type: NFULNL_MSG_CONFIG, flags: 0, body: body.finish(), what: `listen to NFLOG group ${group}` };
}

/** The packet that a message tells of, as far as it can be read, and the number that the kernel gave it. */
export function decodeLogged({ type, buffer, start, end }: MessageView): {
  readonly packet: LoggedPacket | undefined;
  readonly sequence: number | undefined;
} {
  if (type !== NFULNL_MSG_PACKET) return { packet: undefined, sequence: undefined };
  const attributes = readAttributes(buffer, start + NFGENMSG_BYTES, end);
  const payload = attributes.get(NFULA_PAYLOAD);
  const headers = payload === undefined ? undefined : readPacket(payload);
  const sequence = attributes.get(NFULA_SEQ);
  return {
    packet: headers && { ...headers, prefix: readText(attributes.get(NFULA_PREFIX)) ?? '' },
    sequence: sequence === undefined || sequence.length < 4 ? undefined : sequence.readUInt32BE(0),
  };
}
