import { NftError } from '../nft/nft.ts';
import { closedPolicy } from '../policy/fail-closed.ts';
import type { Policy } from '../policy/model.ts';

/** So many attempts at most to find out which policies are refused; those still in doubt then count as refused. */
const MAX_ATTEMPTS = 64;

/**
 * Policies that the kernel refused, each as it was then: they fail closed, for the pods that they select alone, until
 * they are changed.
 */
export class RefusedPolicies {
  readonly #closed = new WeakMap<Policy, Policy>();

  /** All of `policies`, those that were refused as they fail closed. */
  without(policies: readonly Policy[]): readonly Policy[] {
    return policies.map((policy) => this.#closed.get(policy) ?? policy);
  }

  /**
   * Finds out which of `suspects` make the kernel refuse a ruleset, by halves.
   *
   * @param attempt throws the NftError with which the kernel would refuse what comes of `policies`.
   * @returns those that were found; none where it refuses all the same without any of them.
   */
  find(
    policies: readonly Policy[],
    suspects: readonly Policy[],
    attempt: (policies: readonly Policy[]) => void,
  ): readonly { readonly policy: Policy; readonly said: string }[] {
    const inDoubt = new Set(suspects);
    const found: { policy: Policy; said: string }[] = [];
    let attempts = 0;
    const refusal = (): string | undefined => {
      attempts += 1;
      return refusalOf(() => attempt(this.without(policies).map((p) => (inDoubt.has(p) ? closedPolicy(p, DOUBT) : p))));
    };
    if (refusal() !== undefined) return [];
    const clear = (some: readonly Policy[]): void => {
      for (const policy of some) inDoubt.delete(policy);
      const said = attempts < MAX_ATTEMPTS ? refusal() : 'too many policies are in doubt';
      if (said === undefined) return;
      for (const policy of some) inDoubt.add(policy);
      const [only] = some;
      if (only !== undefined && (some.length === 1 || attempts >= MAX_ATTEMPTS)) {
        for (const policy of some) found.push({ policy, said });
        return;
      }
      const half = Math.ceil(some.length / 2);
      clear(some.slice(0, half));
      clear(some.slice(half));
    };
    if (suspects.length > 0) clear(suspects);
    for (const { policy, said } of found) {
      const message = `is refused by the kernel: ${said}`;
      this.#closed.set(policy, closedPolicy(policy, { field: 'spec', message }));
    }
    return found;
  }
}

const DOUBT = { field: 'spec', message: 'may be what the kernel refuses' };

function refusalOf(attempt: () => void): string | undefined {
  try {
    attempt();
    return undefined;
  } catch (error) {
    if (error instanceof NftError) return error.said.trim().split('\n', 1)[0] ?? '';
    throw error;
  }
}
