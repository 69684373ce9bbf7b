import { noSuchPath } from './status-error.ts';

/** What a path of the API names. `namespace`, `name` and `subresource` are '' where the path has none. */
export interface ResourcePath {
  readonly group: string;
  readonly version: string;
  readonly namespace: string;
  readonly plural: string;
  readonly name: string;
  readonly subresource: string;
}

/** The segments of a URL's path, decoded. @throws StatusError 404 for bad escapes */
export function pathSegments(pathname: string): string[] {
  try {
    return pathname
      .split('/')
      .filter((segment) => segment !== '')
      .map(decodeURIComponent);
  } catch {
    throw noSuchPath();
  }
}

/** The resource under `/api/v1/...` or `/apis/GROUP/VERSION/...`; undefined for other paths. */
export function parseResourcePath(segments: readonly string[]): ResourcePath | undefined {
  const [root, first = '', second = ''] = segments;
  const core = root === 'api';
  if (!core && root !== 'apis') return undefined;
  const [group, version] = core ? ['', first] : [first, second];
  const rest = segments.slice(core ? 2 : 3);
  const inNamespace = rest[0] === 'namespaces' && rest.length > 2 && rest[2] !== 'status' && rest[2] !== 'finalize';
  const [namespace, tail] = inNamespace ? [rest[1] ?? '', rest.slice(2)] : ['', rest];
  const [plural = '', name = '', subresource = '', ...more] = tail;
  if (plural === '' || more.length > 0) return undefined;
  return { group, version, namespace, plural, name, subresource };
}
