/** One item of the user data of a rule, a chain or a set: type, length and value (libnftnl/udata.h). */
export function userData(type: number, value: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(type, value.length), value]);
}
