// node image/program.ts FOLDER VERSION: the program as the image holds it, laid out like a checkout: src/ as JavaScript,
// with those modules only that `romana` can reach, node_modules with those packages only that it needs at run time,
// and deploy/. What is in FOLDER stays there.
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { isBuiltin, stripTypeScriptTypes } from 'node:module';
import { basename, dirname, extname, join, relative, resolve } from 'node:path';

const CHECKOUT = resolve(import.meta.dirname, '..');
const START = 'src/bin/romana.ts';
const INTERPRETER = '/usr/local/bin/node';
/** The local cluster makes nodes out of the machine's programs, and the image has none. */
const LEFT_OUT = /^src\/(bin\/local[^/]*|local\/.*)\.ts$/;
/** Dependencies of the local cluster alone; and our Node, which is no library. */
const LEFT_OUT_PACKAGES = new Set(['selfsigned', 'node']);
/** An import, as it looks once the types are gone. */
const IMPORT = /(\bfrom\s*|\bimport\s*\(?\s*)(['"])([@.\w][\w@./-]*)\2/g;
/** What no program reads: documents, types, sources of what is built already, and builds for other platforms. */
const UNREAD = /^(\.md|\.markdown|\.map|\.ts|\.mts|\.cts|\.cc|\.hh|\.inc|\.c|\.h|\.ya?ml|\.ico)$/;
const UNREAD_FOLDERS =
  /^(node_modules|test|tests|docs?|examples?|benchmarks|browser|vendor|prebuilds|\.github|musl_.*)$/;

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

const [folder, version] = process.argv.slice(2);
if (folder === undefined || version === undefined) throw new Error('usage: node image/program.ts FOLDER VERSION');

const { dependencies = {}, ...about } = manifestOf(CHECKOUT);
const needed = Object.keys(dependencies).filter((name) => !LEFT_OUT_PACKAGES.has(name));
writeModules(folder, new Set(needed));
for (const path of packagesOf(needed)) copyPackage(join(CHECKOUT, path), join(folder, path));
cpSync(join(CHECKOUT, 'deploy'), join(folder, 'deploy'), { recursive: true });
const { name, description, license, type } = about;
write(join(folder, 'package.json'), `${JSON.stringify({ name, version, description, license, type }, undefined, 2)}\n`);
mkdirSync(join(folder, 'bin'));
symlinkSync(`../${asJavaScript(START)}`, join(folder, 'bin/romana'));

/** Writes every module that can be reached from START as JavaScript. */
function writeModules(to: string, packages: ReadonlySet<string>): void {
  const reached = new Set([START]);
  for (const file of reached) {
    const source = readFileSync(join(CHECKOUT, file), 'utf8');
    const code = stripTypeScriptTypes(source).replaceAll(IMPORT, (all, words: string, quote: string, from: string) => {
      if (!from.startsWith('.')) {
        if (isBuiltin(from) || packages.has(packageOf(from))) return all;
        throw new Error(`${file} imports ${from}, which is no dependency of the image`);
      }
      const target = relative(CHECKOUT, resolve(CHECKOUT, dirname(file), from));
      if (!LEFT_OUT.test(target)) reached.add(target);
      else if (file !== START) throw new Error(`${file} imports ${target}, which is not in the image`);
      return `${words}${quote}${asJavaScript(from)}${quote}`;
    });
    write(join(to, asJavaScript(file)), file === START ? `#!${INTERPRETER}\n${code}` : code);
  }
  chmodSync(join(to, asJavaScript(START)), 0o755);
}

/** The packages, with all that they depend on, as paths in the checkout. */
function packagesOf(names: readonly string[]): ReadonlySet<string> {
  const found = new Set(names.map((name) => join('node_modules', name)));
  for (const path of found) {
    const { dependencies = {}, optionalDependencies = {} } = manifestOf(join(CHECKOUT, path));
    for (const name of new Set([...Object.keys(dependencies), ...Object.keys(optionalDependencies)])) {
      if (name.startsWith('@types/')) continue;
      const at = locate(name, path);
      if (at !== undefined) found.add(at);
      else if (!(name in optionalDependencies)) throw new Error(`${path} needs ${name}, which is not installed`);
    }
  }
  return found;
}

/** Where a package that is at `from` finds the package `name`: beside what it brought itself, or further up. */
function locate(name: string, from: string): string | undefined {
  for (let at = from; at !== '.'; at = dirname(at)) {
    const path = join(basename(at) === 'node_modules' ? at : join(at, 'node_modules'), name);
    if (existsSync(join(CHECKOUT, path, 'package.json'))) return path;
  }
  return undefined;
}

function copyPackage(from: string, to: string): void {
  const wanted = (path: string): boolean => {
    const inside = relative(from, path);
    return !UNREAD.test(extname(path)) && (inside.includes('/') || !UNREAD_FOLDERS.test(inside));
  };
  cpSync(from, to, { recursive: true, dereference: true, filter: wanted });
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

function asJavaScript(file: string): string {
  return file.replace(/\.ts$/, '.js');
}

function manifestOf(path: string): Manifest {
  return JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')) as Manifest;
}

function write(path: string, content: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}
