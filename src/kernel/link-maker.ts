import type { Link } from './links.ts';
import type { NetlinkRequest } from './netlink-codec.ts';
import { Rtnl } from './rtnl.ts';

/**
 * Makes interfaces on another thread: the kernel takes about 1 ms for a veth pair, in which this thread can do other
 * things. One at a time, since the kernel does no two at once either.
 */
export class LinkMaker {
  readonly #rtnl: Rtnl;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(rtnl: Rtnl) {
    this.#rtnl = rtnl;
  }

  /** Opens it for this thread's network namespace. */
  static open(): LinkMaker {
    return new LinkMaker(Rtnl.open());
  }

  /**
   * Carries out `request`, which makes the interface `name`, and describes that.
   *
   * @throws KernelError (by rejection)
   */
  make(request: NetlinkRequest, name: string): Promise<Link> {
    const made = this.#last.then(() => this.#rtnl.applyAndGetAsync([request], name));
    this.#last = made.catch(() => undefined);
    return made;
  }

  /** Waits for what was asked for, then closes. */
  async close(): Promise<void> {
    await this.#last;
    this.#rtnl.close();
  }
}
