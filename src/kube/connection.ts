/** A bearer token, asked for before each request; `fresh` asks for another than the one that was just refused. */
export type TokenSource = (fresh: boolean) => Promise<string>;

/** Where an API server is and how we show it who we are. */
export interface Connection {
  /** For example `https://192.168.99.10:6443`; a path is kept as a prefix. */
  readonly server: string;
  /** PEM certificates that the server's must be signed by; absent: the machine's authorities. */
  readonly ca?: string | undefined;
  /** The name that the server's certificate is checked for, when it is not the host in `server`. */
  readonly serverName?: string | undefined;
  /** Takes any server certificate, as `insecure-skip-tls-verify` in a kubeconfig asks. */
  readonly insecure?: boolean | undefined;
  readonly token?: TokenSource | undefined;
  /** `Authorization: Basic`, as some kubeconfigs still have it. */
  readonly basic?: { readonly username: string; readonly password: string } | undefined;
  /** Client certificate and key, PEM. */
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
}

/** Options of `tls.connect` that a connection asks for. */
export function tlsOptions(c: Connection): {
  ca?: string;
  cert?: string;
  key?: string;
  servername?: string;
  rejectUnauthorized: boolean;
} {
  return {
    rejectUnauthorized: c.insecure !== true,
    ...(c.ca === undefined ? {} : { ca: c.ca }),
    ...(c.certificate === undefined ? {} : { cert: c.certificate }),
    ...(c.key === undefined ? {} : { key: c.key }),
    ...(c.serverName === undefined ? {} : { servername: c.serverName }),
  };
}

/** The value of the `Authorization` header, or undefined where the connection has none. */
export async function authorization(c: Connection, fresh = false): Promise<string | undefined> {
  if (c.token !== undefined) return `Bearer ${await c.token(fresh)}`;
  if (c.basic !== undefined) return `Basic ${btoa(`${c.basic.username}:${c.basic.password}`)}`;
  return undefined;
}
