import { getHeapStatistics, setFlagsFromString } from 'node:v8';

/** A heap that uses so many bytes holds pods of other hosts, by the thousand. */
const LARGE_BYTES = 48 * 2 ** 20;

/**
 * Keeps V8's young generation at the 1 MiB that it begins with while the heap is small; it would grow to 32 MiB within
 * the first second and stay so. A large heap may have it: each plan makes more garbage then, which a small young
 * generation would promote, and that costs 14 % more time of the main thread. To be called before anything large is
 * loaded, and from time to time.
 */
export function fitYoung(): void {
  const large = getHeapStatistics().used_heap_size > LARGE_BYTES;
  setFlagsFromString(`--semi-space-growth-factor=${large ? 2 : 1}`);
}
