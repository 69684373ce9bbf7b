/** `value` if it is a whole number from 0 up, else undefined. */
export function parsePositive(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 ? value : undefined;
}
