import { setFlagsFromString } from 'node:v8';

/**
 * Keeps V8's young generation at the 1 MiB that it begins with; a start would have it grow to 32 MiB within the first
 * second, of which it gives nothing back. To be called before anything large is loaded.
 */
export function keepYoungSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}

/**
 * Lets it grow with the work from now on: where changes are many, collections of a small one make each take twice as
 * long (bench/policy.ts).
 */
export function letYoungGrow(): void {
  setFlagsFromString('--semi-space-growth-factor=2');
}
