/** The CNI versions that the plugin speaks, oldest first (https://www.cni.dev/docs/spec/). */
export const CNI_VERSIONS = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;

/** One of the CNI versions that the plugin speaks. */
export type CniVersion = (typeof CNI_VERSIONS)[number];

/** The newest version, used where the caller's is not known. */
export const NEWEST_VERSION: CniVersion = '1.1.0';

/** The version that `text` names, or undefined when the plugin does not speak it. */
export function parseVersion(text: unknown): CniVersion | undefined {
  return CNI_VERSIONS.find((version) => version === text);
}

/** Whether `version` is `minimum` or newer. */
export function atLeast(version: CniVersion, minimum: CniVersion): boolean {
  return CNI_VERSIONS.indexOf(version) >= CNI_VERSIONS.indexOf(minimum);
}
