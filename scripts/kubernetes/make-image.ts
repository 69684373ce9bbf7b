import { parseArgs } from 'node:util';

import { writeImage } from './write-image.ts';

/** Writes an OCI image out of directories, for build.sh. */
const USAGE = `make-image.ts OUT.tar --name NAME... --layer DIRECTORY... [--entrypoint WORD]... [--cmd WORD]...
  [--user USER:GROUP] [--workdir DIRECTORY] [--env NAME=VALUE]...`;

const words = { type: 'string', multiple: true } as const;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    name: words,
    layer: words,
    entrypoint: words,
    cmd: words,
    user: { type: 'string' },
    workdir: { type: 'string' },
    env: words,
  },
});
const [out] = positionals;
const { name: names, layer: layers, ...config } = values;
if (out === undefined || positionals.length > 1 || names === undefined || layers === undefined) {
  process.stderr.write(`usage: ${USAGE}\n`);
  process.exitCode = 2;
} else {
  process.stdout.write(`${out} ${await writeImage(out, { names, layers, ...config })} ${names.join(' ')}\n`);
}
