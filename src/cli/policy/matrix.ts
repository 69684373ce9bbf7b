import { parseTriedPort } from '../../policy/connection-ends.ts';
import { declaredPorts, matrix, triedPortName, type PortMatrix } from '../../policy/matrix.ts';
import type { TriedPort } from '../../policy/verdict-table.ts';
import { clusterIn, given, readWorld, withStatus, type PolicyDependencies } from './read-world.ts';

/** What a person typed behind `romana policy matrix`. */
export interface MatrixArguments {
  /** Empty: the cluster. */
  readonly files: readonly string[];
  /** `TCP/80,UDP/dns`; missing: what containers declare. */
  readonly ports?: string | undefined;
  readonly output: 'table' | 'json';
}

/** The ports of a list separated by commas, each once. @throws BadInput */
export function portsOf(list: string): readonly TriedPort[] {
  const ports = list.split(',').map((text) => given(parseTriedPort(text.trim())));
  return [...new Map(ports.map((port) => [triedPortName(port), port])).values()];
}

/** Writes in pieces: of ten thousand pods a matrix has a hundred million characters a port. */
class Output {
  readonly #stdout: PolicyDependencies['stdout'];
  #pieces: string[] = [];
  #length = 0;

  constructor(stdout: PolicyDependencies['stdout']) {
    this.#stdout = stdout;
  }

  add(text: string): void {
    this.#pieces.push(text);
    this.#length += text.length;
    if (this.#length > 2 ** 20) this.end();
  }

  end(): void {
    this.#stdout.write(this.#pieces.join(''));
    this.#pieces = [];
    this.#length = 0;
  }
}

function writeJson(endpoints: readonly string[], matrices: readonly PortMatrix[], output: Output): void {
  const ports = matrices.map(({ port }) => triedPortName(port));
  output.add(`{"endpoints":${JSON.stringify(endpoints)},"ports":${JSON.stringify(ports)},"verdicts":{`);
  for (const [i, { row }] of matrices.entries()) {
    output.add(`${i === 0 ? '' : ','}${JSON.stringify(ports[i])}:[`);
    // Rows are dots and Xes: nothing in them needs to be quoted.
    for (const source of endpoints.keys()) output.add(`${source === 0 ? '' : ','}"${row(source)}"`);
    output.add(']');
  }
  output.add('}}\n');
}

/** The numbers of `count` columns, read from above, in as many lines as the last one has digits. */
function columnNumbers(count: number): readonly string[] {
  const digits = String(count).length;
  const numbers = Array.from({ length: count }, (_, i) => String(i + 1).padStart(digits));
  return Array.from({ length: digits }, (_, digit) => numbers.map((number) => number[digit]).join(''));
}

function writeTable(endpoints: readonly string[], matrices: readonly PortMatrix[], output: Output): void {
  const digits = String(endpoints.length).length;
  const width = Math.max(...endpoints.map((name) => name.length), 0) + digits + 2;
  for (const [i, { port, row }] of matrices.entries()) {
    output.add(`${i === 0 ? '' : '\n'}${triedPortName(port)}: rows are sources, columns destinations\n`);
    for (const line of columnNumbers(endpoints.length)) output.add(`${' '.repeat(width)}${line}\n`);
    for (const [source, name] of endpoints.entries()) {
      output.add(`${`${String(source + 1).padStart(digits)} ${name}`.padEnd(width)}${row(source)}\n`);
    }
  }
}

/**
 * `romana policy matrix`: who may talk to whom. JSON is `{"endpoints","ports","verdicts"}`, where `verdicts` has by port
 * one string a source with one character a destination: `.` allowed, `X` denied.
 * Resolves to the exit status: 0, or 2 for bad input or no cluster.
 */
export function matrixCommand(args: MatrixArguments, deps: PolicyDependencies): Promise<0 | 1 | 2> {
  return withStatus(deps, async () => {
    const asked = args.ports === undefined ? undefined : portsOf(args.ports);
    const cluster = clusterIn(await readWorld(args.files, deps));
    const matrices = matrix(cluster, asked ?? declaredPorts(cluster.endpoints));
    const endpoints = cluster.endpoints.map(({ name }) => name);
    const output = new Output(deps.stdout);
    if (args.output === 'json') writeJson(endpoints, matrices, output);
    else if (matrices.length === 0) output.add('no container declares a port: say --ports\n');
    else writeTable(endpoints, matrices, output);
    output.end();
    return 0;
  });
}
