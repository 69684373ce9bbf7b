/** The bit of the conntrack mark that says: this connection was allowed once and no longer is. */
export const REVOKED_MARK = 0x10000000;
