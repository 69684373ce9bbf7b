import type { Spec } from './upstream-spec.ts';

const STATES = { PASS: 'passed', FAIL: 'failed', SKIP: 'skipped' } as const;
const BEGINS = /^=== (?:RUN|NAME|CONT) +(\S+)$/;
const ENDS = /^ *--- (PASS|FAIL|SKIP): (\S+) \(([\d.]+)s\)$/;

/**
 * The tests in what a Go test program prints with `-test.v`. A test with tests in it is none of its own, unless it
 * failed and none of them did: then what failed is what it did around them.
 */
export function parseGoTestOutput(output: string): Spec[] {
  const said = new Map<string, string[]>();
  const specs: Spec[] = [];
  let current = '';
  for (const line of output.split('\n')) {
    const [, verdict, ended, seconds] = ENDS.exec(line) ?? [];
    const begun = BEGINS.exec(line)?.[1];
    if (begun !== undefined) {
      current = begun;
    } else if (ended !== undefined) {
      const lines = said.get(ended) ?? [];
      const state = STATES[verdict as keyof typeof STATES];
      const reason = state === 'passed' ? '' : (lines.at(-1)?.trim() ?? '');
      specs.push({ name: ended, state, seconds: Number(seconds), reason, said: lines.join('\n') });
    } else {
      said.set(current, [...(said.get(current) ?? []), line]);
    }
  }
  return specs.filter((spec) => {
    const inner = specs.filter(({ name }) => name.startsWith(`${spec.name}/`));
    return inner.length === 0 || (spec.state === 'failed' && inner.every(({ state }) => state !== 'failed'));
  });
}
