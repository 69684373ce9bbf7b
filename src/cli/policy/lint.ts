import { lint, type Finding } from '../../policy/lint.ts';
import { lineOf } from './field-line.ts';
import { clusterIn, readWorld, withStatus, type PolicyDependencies } from './read-world.ts';

/** What a person typed behind `romana policy lint`. */
export interface LintArguments {
  /** Empty: the cluster. */
  readonly files: readonly string[];
  readonly output: 'text' | 'json';
}

/** A finding as `-o json` has it. */
export interface LocatedFinding extends Finding {
  readonly file?: string;
  /** From 1. */
  readonly line?: number;
}

function text({ rule, object, field, message, file, line }: LocatedFinding): string {
  const place = file === undefined ? '' : `${file}:${line}: `;
  return `${place}${object} ${field}: ${message} [${rule}]\n`;
}

/**
 * `romana policy lint`: what in the policies is likely not what was meant. JSON is a list of `LocatedFinding`.
 * Resolves to the exit status: 0 nothing, 1 something was found, 2 bad input, or no cluster.
 */
export function lintCommand(args: LintArguments, deps: PolicyDependencies): Promise<0 | 1 | 2> {
  return withStatus(deps, async () => {
    const world = await readWorld(args.files, deps);
    const findings: LocatedFinding[] = [];
    for (const finding of lint(clusterIn(world))) {
      const place = world.places.get(finding.object);
      const located = place === undefined ? {} : { file: place.source, line: await lineOf(place, finding.field) };
      findings.push({ ...finding, ...located });
    }
    deps.stdout.write(
      args.output === 'json' ? `${JSON.stringify(findings, undefined, 2)}\n` : findings.map(text).join(''),
    );
    return findings.length === 0 ? 0 : 1;
  });
}
