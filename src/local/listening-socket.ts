import { createServer, type Server } from 'node:net';

/** A listening TCP socket that a child process can inherit. */
export interface ListeningSocket {
  readonly port: number;
  /** Its file descriptor, good until `close`. */
  readonly fd: number;
  /** Closes it here; whoever inherited it keeps it. */
  close(): void;
}

/**
 * Opens a socket on a port of 127.0.0.1, a free one for 0, in the network namespace of this process.
 *
 * @throws Error when somebody else has the port.
 */
export async function openListeningSocket(port = 0): Promise<ListeningSocket> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new Error(`can't open 127.0.0.1:${port} for the API server: ${cause.message}`, { cause })),
    );
    server.listen(port, '127.0.0.1', resolve);
  });
  const address = server.address();
  // Node has no public way to hand a listening socket to a program that is not Node; its handle knows the number.
  // oxlint-disable-next-line no-underscore-dangle -- that is its name
  const fd = (server as Server & { readonly _handle?: { readonly fd?: number } })._handle?.fd;
  if (address === null || typeof address === 'string' || fd === undefined || fd < 0) {
    server.close();
    throw new Error("can't hand over the API server's socket: this Node does not tell its file descriptor");
  }
  return { port: address.port, fd, close: () => server.close() };
}
