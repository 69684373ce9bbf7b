import { readFileSync } from 'node:fs';
import type { TestNetns } from './netns.ts';

/** What the kernel has counted in a namespace, as in /proc/net/snmp and snmp6: `Udp NoPorts`, `Udp6NoPorts`. */
export function countersOf(ns: TestNetns): ReadonlyMap<string, number> {
  const read = (name: string): string[] =>
    ns
      .inside(() => readFileSync(`/proc/thread-self/net/${name}`, 'utf8'))
      .trim()
      .split('\n');
  const counters = new Map(
    read('snmp6')
      .map((line) => line.split(/\s+/))
      .map(([name = '', value]) => [name, Number(value)]),
  );
  const lines = read('snmp').map((line) => line.split(' '));
  for (let n = 0; n + 1 < lines.length; n += 2) {
    const [names = [], values = []] = lines.slice(n, n + 2);
    for (const [index, name] of names.entries())
      counters.set(`${names[0]?.replace(':', '')} ${name}`, Number(values[index]));
  }
  return counters;
}

/**
 * Packets of both families that have come into a namespace, for whomever they were. Without those to groups: the
 * kernel of the host itself announces by MLD that it is a router (RFC 3810).
 */
export function received(ns: TestNetns): number {
  const counters = countersOf(ns);
  const count = (name: string): number => counters.get(name) ?? 0;
  return count('Ip InReceives') + count('Ip6InReceives') - count('Ip6InMcastPkts');
}
