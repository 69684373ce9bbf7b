import type { Fragment, RulesetBuilder } from './ruleset-builder.ts';
import { sameItems } from './same.ts';

/** Parts of rulesets as they were made last, each with what it was made of. */
export class PartMemory {
  readonly #made = new Map<string, { readonly of: readonly unknown[]; readonly fragment: Fragment }>();

  /** Declares a part as before if all of `of` are the same objects, in the same order, as then; else has it made. */
  declare(builder: RulesetBuilder, name: string, of: readonly unknown[], make: () => void): void {
    const before = this.#made.get(name);
    if (before !== undefined && sameItems(before.of, of) && builder.replay(before.fragment)) return;
    this.#made.set(name, { of, fragment: builder.record(make).fragment });
  }
}
