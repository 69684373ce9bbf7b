import type { JsonObject } from '../../objects/field.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import { at, objectsAt, textAt } from '../kube-json.ts';

const BANDWIDTH = ['ingress', 'egress'] as const;
/** Bits that may be sent at once, beside the rate: no bound to speak of, as container runtimes have it. */
const BURST_BITS = 2 ** 32 - 1;
/** What kubelets take for a bandwidth, in bits per second. */
const MIN_RATE = 1_000;
const MAX_RATE = 1e15;

/**
 * What a pod asks of CNI plugins, by name of the capability (https://www.cni.dev/docs/conventions/): its containers'
 * hostPorts, and the annotations `kubernetes.io/ingress-bandwidth` and `egress-bandwidth` (Kubernetes quantities, in
 * bits per second). An error names the annotation that cannot be read.
 */
export function podCapabilities(pod: unknown): Result<JsonObject> {
  const portMappings = objectsAt(pod, 'spec', 'containers').flatMap((container) =>
    objectsAt(container, 'ports').flatMap((port) => {
      const { hostPort, containerPort } = port;
      if (typeof hostPort !== 'number' || hostPort <= 0) return [];
      const protocol = (textAt(port, 'protocol') || 'TCP').toLowerCase();
      const hostIP = textAt(port, 'hostIP');
      return [{ hostPort, containerPort, protocol, ...(hostIP === '' ? {} : { hostIP }) }];
    }),
  );
  const bandwidth: Record<string, number> = {};
  for (const direction of BANDWIDTH) {
    const key = `kubernetes.io/${direction}-bandwidth`;
    const text = at(pod, 'metadata', 'annotations', key);
    if (text === undefined) continue;
    const rate = typeof text === 'string' ? parseQuantity(text) : undefined;
    if (rate === undefined || rate < MIN_RATE || rate > MAX_RATE) {
      return err(
        `the annotation ${key} must be bits per second from 1k to 1P, such as 10M, found ${JSON.stringify(text)}`,
      );
    }
    bandwidth[`${direction}Rate`] = Math.ceil(rate);
    bandwidth[`${direction}Burst`] = BURST_BITS;
  }
  return ok({
    ...(portMappings.length === 0 ? {} : { portMappings }),
    ...(Object.keys(bandwidth).length === 0 ? {} : { bandwidth }),
  });
}

const SUFFIXES: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ...['n', 'u', 'm'].map((suffix, i) => [suffix, 10 ** (-9 + 3 * i)] as const),
  ...['k', 'M', 'G', 'T', 'P', 'E'].map((suffix, i) => [suffix, 10 ** (3 * (i + 1))] as const),
  ...['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'].map((suffix, i) => [suffix, 2 ** (10 * (i + 1))] as const),
]);

/** The number that a Kubernetes quantity stands for (apimachinery's resource.Quantity); undefined for another text. */
function parseQuantity(text: string): number | undefined {
  const [, digits, exponent, suffix] =
    /^([+-]?(?:\d+(?:\.\d*)?|\.\d+))(?:([eE][+-]?\d+)|([a-zA-Z]*))$/.exec(text) ?? [];
  if (digits === undefined) return undefined;
  if (exponent !== undefined) return Number(digits + exponent);
  const factor = SUFFIXES.get(suffix ?? '');
  return factor === undefined ? undefined : Number(digits) * factor;
}
