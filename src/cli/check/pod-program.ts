import type { Readable } from 'node:stream';
import { createInterface } from 'node:readline';
import { EchoServer } from './echo-server.ts';
import { obey, type Surroundings } from './obey.ts';
import type { Answer, Doors, Order } from './orders.ts';

/** So many orders are done at once. */
const AT_ONCE = 4;

/** Where a pod of the check listens. */
export interface ServeOptions {
  /** What it says it is. */
  readonly name: string;
  /** Where: none is at all addresses of the pod. On a node's network answers must come from the address asked. */
  readonly addresses: readonly string[];
  /** 0 is any that is free, one for each address. */
  readonly open: number;
  readonly shut: number;
}

/**
 * Listens until the process ends. An address that is not there, as one that a cloud translates, is left out.
 *
 * @throws Error with errno if it can't listen at all
 */
export async function serve({ name, addresses, open, shut }: ServeOptions): Promise<readonly Doors[]> {
  if (addresses.length === 0) return [(await EchoServer.start({ name, address: '', open, shut })).doors];
  const doors: Doors[] = [];
  for (const address of addresses) {
    try {
      doors.push((await EchoServer.start({ name, address, open, shut })).doors);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRNOTAVAIL') throw error;
    }
  }
  return doors;
}

/** Reads one line of orders and does them. The answers come in their order. @throws Error if the line is no JSON */
export async function obeyAll(input: Readable, around: Surroundings): Promise<readonly Answer[]> {
  const lines = createInterface({ input });
  try {
    for await (const line of lines) return await inTurn(JSON.parse(line) as readonly Order[], around);
    return [];
  } finally {
    lines.close();
  }
}

async function inTurn(orders: readonly Order[], around: Surroundings): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let order = orders[next]; order !== undefined; order = orders[next]) {
      const place = next;
      next += 1;
      answers[place] = await obey(order, around);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return answers;
}
