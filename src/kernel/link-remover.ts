import { deleteLinkGroup, setLink } from './links.ts';
import type { NetlinkRequest } from './netlink-codec.ts';
import { Rtnl } from './rtnl.ts';

/** `Roma`: the interface group (linux/if_link.h, IFLA_GROUP) of interfaces of ours that wait for their removal. */
export const REMOVAL_GROUP = 0x526f6d61;

/**
 * Removes interfaces without holding up anybody: the kernel takes about 25 ms for one, and hardly more for many at
 * once. What is asked for while a removal runs goes together in the next one.
 */
export class LinkRemover {
  readonly #rtnl: Rtnl;
  #waiting = new Set<string>();
  #next: Promise<void> | undefined;
  #running: Promise<void> = Promise.resolve();

  private constructor(rtnl: Rtnl) {
    this.#rtnl = rtnl;
  }

  /** Opens it for this thread's network namespace, or for `netns`. */
  static open(options: { readonly netns?: string | number } = {}): LinkRemover {
    return new LinkRemover(Rtnl.open(options));
  }

  /**
   * Removes the interface called `name`; settles when it is gone, also when it was not there.
   *
   * @throws KernelError (by rejection, for all that were removed together)
   */
  remove(name: string): Promise<void> {
    this.#waiting.add(name);
    this.#next ??= this.#start();
    return this.#next;
  }

  /** Waits for what was asked for, then closes. */
  async close(): Promise<void> {
    await (this.#next ?? this.#running).catch(() => undefined);
    this.#rtnl.close();
  }

  async #start(): Promise<void> {
    await this.#running.catch(() => undefined);
    const names = this.#waiting;
    this.#waiting = new Set();
    this.#next = undefined;
    this.#running = this.#removeAll(names);
    await this.#running;
  }

  async #removeAll(names: ReadonlySet<string>): Promise<void> {
    const moves = [...names].map(moveToRemovalGroup);
    await this.#rtnl.applyAsync(...moves, deleteLinkGroup(REMOVAL_GROUP));
  }
}

function moveToRemovalGroup(name: string): NetlinkRequest {
  return { ...setLink(name, { group: REMOVAL_GROUP }), tolerate: ['ENODEV'] };
}
