import type { Host } from '../objects/host.ts';
import { isMeant, isRestoreMark } from '../objects/release.ts';
import type { Tenant } from '../objects/tenant.ts';

/** What the controller asks agents to acknowledge, and when it did. */
export interface Announcement {
  /** Names of releases, as in the Network's status. */
  readonly releases: readonly string[];
  /** The version of the Network that says so: what was released had gone before; undefined if it is no number. */
  readonly version: number | undefined;
}

/** Who has ids, as far as is known. */
export interface Owners {
  readonly hosts: Iterable<Host>;
  readonly tenants: Iterable<Tenant>;
}

/**
 * What this agent says it means by ids that are to go to new owners: nothing any more. It says so only when all its
 * copies are as new as the announcement and what follows from them is in the kernel, so that neither its rules nor a
 * pod that it connects later can come from the old owner's time.
 */
export class Acknowledgements {
  #given: ReadonlySet<string> = new Set();
  #asked: readonly string[] = [];
  #mark: string | undefined;

  /** Whether something that was asked for is not acknowledged yet. */
  get pending(): boolean {
    return this.#asked.length > this.#given.size;
  }

  /**
   * The names to acknowledge now.
   *
   * @param inForce the version up to which everything is seen and in the kernel; undefined while that is not known.
   */
  update(asked: Announcement, inForce: number | undefined, known: Owners): readonly string[] {
    const { releases, version } = asked;
    const reached = inForce !== undefined && version !== undefined && inForce >= version;
    const [hosts, tenants] = [[...known.hosts], [...known.tenants]];
    this.#asked = releases;
    // What was acknowledged stays so: copies only become newer.
    this.#given = new Set(
      releases.filter((name) => (reached || this.#given.has(name)) && !isMeant(name, hosts, tenants)),
    );
    return [...this.#given];
  }

  /** Whether everything has to be listed afresh before more is acknowledged: once for each backup that was restored. */
  startAnew({ releases }: Announcement): boolean {
    const mark = releases.find(isRestoreMark);
    if (mark === undefined || mark === this.#mark) return false;
    this.#mark = mark;
    this.forget();
    return true;
  }

  /** Begins anew: the copies were listed afresh, perhaps from an API server that went back in time. */
  forget(): void {
    this.#given = new Set();
  }
}
