import { setFlagsFromString } from 'node:v8';

/**
 * Keeps V8's young generation at the 1 MiB that it begins with, for good; it would grow to 32 MiB within the first
 * second and stay so. To be called before anything large is loaded.
 */
export function keepYoungSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}
