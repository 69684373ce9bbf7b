import { closeSync, createReadStream } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';

import type { Log } from '../../lib/log.ts';
import { DEFAULT_REGISTRY } from './image-name.ts';
import { ImageStore } from './image-store.ts';

/** What a registry serves, and where. */
export interface RegistryOptions {
  /** Address to listen on. */
  readonly host: string;
  /** TCP port; 0 takes a free one. */
  readonly port: number;
  /** Directories of OCI archives (`*.tar`), which may change at any time. */
  readonly directories: readonly string[];
  readonly log: Log;
}

/** A running registry. */
export interface Registry {
  readonly port: number;
  close(): Promise<void>;
}

/** What the path of a pull says. */
interface Reference {
  readonly repository: string;
  readonly kind: 'manifests' | 'blobs';
  readonly reference: string;
}

const PATH = /^\/v2\/(?<repository>.+)\/(?<kind>manifests|blobs)\/(?<reference>[^/]+)$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const RANGE = /^bytes=(\d+)-(\d*)$/;
const BLOB_TYPE = 'application/octet-stream';
/** What other registries bound manifests to, too. */
const MAX_MANIFEST_BYTES = 4 << 20;

/**
 * Starts a read-only registry as OCI's distribution-spec describes the pull side of one. It stands in for every
 * registry: which one a puller means, it says in the query parameter `ns`, as containerd does (docker.io without it).
 */
export async function startRegistry(options: RegistryOptions): Promise<Registry> {
  const { log } = options;
  const images = new ImageStore(options);
  const server = createServer((request, response) => {
    serve(images, request, response).catch((error: unknown) => {
      log.warn({ url: request.url, err: error }, 'could not answer');
      if (response.headersSent) response.destroy();
      else refuse(request, response, 500, 'UNKNOWN', String(error));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function serve(images: ImageStore, request: IncomingMessage, response: ServerResponse): Promise<void> {
  response.setHeader('Docker-Distribution-API-Version', 'registry/2.0');
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    refuse(request, response, 405, 'UNSUPPORTED', `${request.method} is not for a registry that is only read`);
    return;
  }
  const url = new URL(request.url ?? '/', 'http://registry');
  if (url.pathname === '/v2/' || url.pathname === '/v2') {
    answer(request, response, Buffer.from('{}'), 'application/json');
    return;
  }
  const asked = PATH.exec(decodeURIComponent(url.pathname))?.groups as Reference | undefined;
  if (asked === undefined) {
    refuse(request, response, 404, 'UNSUPPORTED', `there are manifests and blobs here, not ${url.pathname}`);
  } else if (asked.kind === 'manifests') {
    serveManifest(images, asked, url.searchParams.get('ns') ?? DEFAULT_REGISTRY, request, response);
  } else {
    await serveBlob(images, asked, request, response);
  }
}

function serveManifest(
  images: ImageStore,
  { repository, reference }: Reference,
  registry: string,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const name = `${registry}/${repository}:${reference}`;
  const digest = DIGEST.test(reference) ? reference : images.find(name)?.digest;
  const content = digest === undefined ? undefined : images.read(digest, MAX_MANIFEST_BYTES);
  const mediaType = content === undefined ? undefined : mediaTypeOf(content);
  if (content === undefined || digest === undefined || mediaType === undefined) {
    refuse(request, response, 404, 'MANIFEST_UNKNOWN', `there is no image ${name}`);
    return;
  }
  response.setHeader('Docker-Content-Digest', digest);
  answer(request, response, content, mediaType);
}

/** The media type that a manifest or index says of itself; undefined when `content` is neither. */
function mediaTypeOf(content: Buffer): string | undefined {
  try {
    const { mediaType, manifests, layers } = JSON.parse(content.toString('utf8')) as Record<string, unknown>;
    if (typeof mediaType === 'string') return mediaType;
    // Optional in OCI's own formats.
    if (Array.isArray(manifests)) return 'application/vnd.oci.image.index.v1+json';
    return Array.isArray(layers) ? 'application/vnd.oci.image.manifest.v1+json' : undefined;
  } catch {
    return undefined;
  }
}

async function serveBlob(
  images: ImageStore,
  { reference }: Reference,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (!DIGEST.test(reference)) {
    refuse(request, response, 400, 'DIGEST_INVALID', `${reference} is not sha256: and 64 hexadecimal digits`);
    return;
  }
  const blob = images.open(reference);
  if (blob === undefined) {
    refuse(request, response, 404, 'BLOB_UNKNOWN', `there is no blob ${reference}`);
    return;
  }
  response.setHeader('Docker-Content-Digest', reference);
  response.setHeader('Accept-Ranges', 'bytes');
  const range = rangeOf(request.headers.range, blob.size);
  if (range === undefined) {
    closeSync(blob.fd);
    response.setHeader('Content-Range', `bytes */${blob.size}`);
    refuse(request, response, 416, 'SIZE_INVALID', `${request.headers.range} is outside its ${blob.size} bytes`);
    return;
  }
  const { first, last, part } = range;
  if (part) response.setHeader('Content-Range', `bytes ${first}-${last}/${blob.size}`);
  response.writeHead(part ? 206 : 200, { 'Content-Type': BLOB_TYPE, 'Content-Length': last - first + 1 });
  if (request.method === 'HEAD' || last < first) {
    closeSync(blob.fd);
    response.end();
    return;
  }
  // Takes the file over, and closes it however it ends.
  const bytes = createReadStream('', { fd: blob.fd, start: blob.offset + first, end: blob.offset + last });
  await pipeline(bytes, response).catch((error: NodeJS.ErrnoException) => {
    // Pullers leave when they know enough; that is no failure of ours.
    if (error.code !== 'ERR_STREAM_PREMATURE_CLOSE' && error.code !== 'ECONNRESET' && error.code !== 'EPIPE')
      throw error;
  });
}

/**
 * Which bytes of `size` the header `Range` asks for (RFC 9110, 14.2), all where there is none or one in a form that is
 * not known here; undefined when they are outside.
 */
function rangeOf(header: string | undefined, size: number): { first: number; last: number; part: boolean } | undefined {
  const match = RANGE.exec(header ?? '');
  if (match === null) return { first: 0, last: size - 1, part: false };
  const first = Number(match[1]);
  const last = match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1);
  return first < size && first <= last ? { first, last, part: true } : undefined;
}

function answer(request: IncomingMessage, response: ServerResponse, content: Buffer, type: string, status = 200): void {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': content.length });
  response.end(request.method === 'HEAD' ? undefined : content);
}

/** An error as distribution-spec has it. */
function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  code: string,
  message: string,
): void {
  const content = Buffer.from(JSON.stringify({ errors: [{ code, message }] }));
  answer(request, response, content, 'application/json', status);
}
