const UNITS = { minute: 60, hour: 3_600, day: 86_400, year: 31_536_000 } as const;

function two(first: number, unit: string, second: number, small: string): string {
  return second === 0 ? `${first}${unit}` : `${first}${unit}${second}${small}`;
}

/** A length of time in at most two units, as kubectl's tables have it (apimachinery, duration.HumanDuration). */
export function age(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  if (seconds < -1) return '<invalid>';
  if (seconds < 120) return `${Math.max(0, seconds)}s`;
  const minutes = Math.floor(seconds / UNITS.minute);
  if (minutes < 10) return two(minutes, 'm', seconds % 60, 's');
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(seconds / UNITS.hour);
  if (hours < 8) return two(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(seconds / UNITS.day);
  if (days < 8) return two(days, 'd', hours % 24, 'h');
  if (days < 730) return `${days}d`;
  const years = Math.floor(seconds / UNITS.year);
  return years < 8 ? two(years, 'y', days % 365, 'd') : `${years}y`;
}

/** How long ago an RFC 3339 time was; `<unknown>` for none, `<invalid>` for what is no time. */
export function ageOf(time: unknown, now: number): string {
  if (typeof time !== 'string' || time === '') return '<unknown>';
  const at = Date.parse(time);
  return Number.isNaN(at) ? '<invalid>' : age(now - at);
}
