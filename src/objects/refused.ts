import { stringify } from 'yaml';
import { isJsonObject, type JsonObject } from './field.ts';

/** `metadata` as a person writes it. */
function writtenMetadata(metadata: unknown): JsonObject {
  if (!isJsonObject(metadata)) return {};
  const kept = ['name', 'namespace', 'labels', 'annotations'].filter((key) => Object.hasOwn(metadata, key));
  return Object.fromEntries(kept.map((key) => [key, metadata[key]]));
}

/**
 * Why an object is refused whose API is gone, with the form that is taken instead; undefined for any other object.
 * Kubernetes served extensions/v1beta1 NetworkPolicy from 1.3 to 1.15. The fields of its spec are those of v1; what
 * changed is that a v1 policy isolates the pods that it selects, where v1beta1 began by needing the annotation.
 */
export function refusal(json: unknown): string | undefined {
  if (!isJsonObject(json)) return undefined;
  if (json['apiVersion'] !== 'extensions/v1beta1' || json['kind'] !== 'NetworkPolicy') return undefined;
  const metadata = writtenMetadata(json['metadata']);
  const name = typeof metadata['name'] === 'string' ? ` ${metadata['name']}` : '';
  const v1 = {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata,
    spec: isJsonObject(json['spec']) ? json['spec'] : { podSelector: {} },
  };
  return [
    `NetworkPolicy${name}: extensions/v1beta1 is refused, Kubernetes itself dropped it in 1.16.`,
    'As networking.k8s.io/v1, where it also isolates the pods that it selects, it is:',
    '',
    stringify(v1).trimEnd(),
  ].join('\n');
}
