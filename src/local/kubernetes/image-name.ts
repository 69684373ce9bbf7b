const REGISTRY = 'docker.io';
const FAMILIAR = 'library';

/**
 * An image's name as a node's runtime knows it: `nginx` is `docker.io/library/nginx:latest`, and `a.b/c` is
 * `a.b/c:latest`. Decided by github.com/distribution/reference: what stands before the first slash is a registry if
 * there is a dot or a colon in it, or if it is `localhost`.
 */
export function fullImageName(name: string): string {
  const slash = name.indexOf('/');
  const first = name.slice(0, Math.max(slash, 0));
  let full = name;
  if (slash === -1) full = `${REGISTRY}/${FAMILIAR}/${name}`;
  else if (!/[.:]/.test(first) && first !== 'localhost') full = `${REGISTRY}/${name}`;
  return /[:@]/.test(full.slice(full.lastIndexOf('/') + 1)) ? full : `${full}:latest`;
}

/** The registry that is meant where a pull names none. */
export const DEFAULT_REGISTRY = REGISTRY;
