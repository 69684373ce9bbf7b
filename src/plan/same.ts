/** Whether two lists have the same items, as objects, in the same order. */
export function sameItems(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a === b || (a.length === b.length && a.every((item, index) => item === b[index]));
}

/**
 * What is in one of two lists alone. Quick where they differ in one place, which is what a change makes of a long list.
 * An item is in a list once.
 */
export function difference<T>(before: readonly T[], after: readonly T[]): { gone: readonly T[]; come: readonly T[] } {
  const shorter = Math.min(before.length, after.length);
  let head = 0;
  while (head < shorter && before[head] === after[head]) head += 1;
  let tail = 0;
  while (tail < shorter - head && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail += 1;
  const [old, now] = [before.slice(head, before.length - tail), after.slice(head, after.length - tail)];
  if (old.length === 0 || now.length === 0) return { gone: old, come: now };
  const [had, has] = [new Set(old), new Set(now)];
  return { gone: old.filter((item) => !has.has(item)), come: now.filter((item) => !had.has(item)) };
}
