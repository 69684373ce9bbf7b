// node image/name.ts LAYOUT NAME: gives the one image of an OCI layout the name by which containerd imports it
// (annotation io.containerd.image.name), and prints its digest.
import { readFileSync, writeFileSync } from 'node:fs';

interface Index {
  readonly manifests: readonly { readonly digest: string; readonly annotations?: Readonly<Record<string, string>> }[];
}

const [layout, name] = process.argv.slice(2);
if (layout === undefined || name === undefined) throw new Error('usage: node image/name.ts LAYOUT NAME');
const file = `${layout}/index.json`;
const index = JSON.parse(readFileSync(file, 'utf8')) as Index;
const [image, ...more] = index.manifests;
if (image === undefined || more.length > 0) throw new Error(`${file} has ${index.manifests.length} images, not one`);
const annotations = { ...image.annotations, 'io.containerd.image.name': name };
writeFileSync(file, JSON.stringify({ ...index, manifests: [{ ...image, annotations }] }));
process.stdout.write(`${image.digest}\n`);
