import { connect, createServer, type Server, type Socket } from 'node:net';

/** Where connections go. */
export interface ForwardTarget {
  readonly host: string;
  readonly port: number;
}

/** A server that hands each of its connections on to `target`, both ways, until either side ends it. */
export function createForwarder(target: ForwardTarget): Server {
  return createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const server = connect({ ...target, allowHalfOpen: true, noDelay: true });
    pipe(client, server);
    pipe(server, client);
  });
}

/** A side that fails takes the other along; what was not sent by then is lost, as on a cut wire. */
function pipe(from: Socket, to: Socket): void {
  from.pipe(to);
  from.on('error', () => to.destroy());
  from.on('close', () => to.destroySoon());
}
