import { isDeepStrictEqual } from 'node:util';
import { arrayAt, ensureObject, isObject, objectAt, textAt, type ApiObject, type JsonObject } from './api-object.ts';
import { checkLabels } from './metadata.ts';
import { checkPortName } from './port-name.ts';
import type { Cause } from './status-error.ts';

const SPEC_DEFAULTS: JsonObject = {
  restartPolicy: 'Always',
  terminationGracePeriodSeconds: 30,
  dnsPolicy: 'ClusterFirst',
  schedulerName: 'default-scheduler',
  serviceAccountName: 'default',
  enableServiceLinks: true,
  securityContext: {},
};

function setMissing(target: JsonObject, defaults: JsonObject): void {
  for (const [key, value] of Object.entries(defaults))
    if (target[key] === undefined) target[key] = structuredClone(value);
}

function defaultContainer(container: JsonObject, hostNetwork: boolean): void {
  const image = textAt(container, 'image');
  const tag = /:([^:/@]+)$/.exec(image)?.[1] ?? (image.includes('@') ? image : 'latest');
  setMissing(container, {
    imagePullPolicy: tag === 'latest' ? 'Always' : 'IfNotPresent',
    resources: {},
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
  });
  for (const port of arrayAt(container, 'ports').filter(isObject)) {
    // Numbers that are not given are 0 in Kubernetes.
    for (const key of ['containerPort', 'hostPort']) if (port[key] === 0) delete port[key];
    setMissing(port, { protocol: 'TCP' });
    if (hostNetwork) setMissing(port, { hostPort: port['containerPort'] });
  }
}

/** Sets, in place, the defaults of a Pod (Kubernetes pkg/apis/core/v1/defaults.go) that anything here reads. */
export function defaultPod(pod: ApiObject): void {
  const spec = ensureObject(pod, 'spec');
  setMissing(spec, SPEC_DEFAULTS);
  if (Number(spec['terminationGracePeriodSeconds']) < 0) spec['terminationGracePeriodSeconds'] = 1;
  const hostNetwork = spec['hostNetwork'] === true;
  for (const list of ['containers', 'initContainers'])
    for (const container of arrayAt(pod.spec, list).filter(isObject)) defaultContainer(container, hostNetwork);
  setMissing(ensureObject(pod, 'status'), { phase: 'Pending', qosClass: 'BestEffort' });
}

function duplicateNames(pod: ApiObject): Cause[] {
  const seen = new Set<string>();
  return ['containers', 'initContainers'].flatMap((list) =>
    arrayAt(pod, 'spec', list).flatMap((container, i): Cause[] => {
      const name = textAt(container, 'name');
      if (!seen.has(name)) {
        seen.add(name);
        return [];
      }
      const message = `Duplicate value: ${JSON.stringify(name)}`;
      return [{ reason: 'FieldValueDuplicate', message, field: `spec.${list}[${i}].name` }];
    }),
  );
}

function checkPorts(container: unknown, field: string): Cause[] {
  const names = arrayAt(container, 'ports').map((port) => textAt(port, 'name'));
  return names.flatMap((name, i): Cause[] => {
    if (name === '') return [];
    const here = `${field}.ports[${i}].name`;
    if (names.indexOf(name) === i) return checkPortName(name, here);
    return [{ reason: 'FieldValueDuplicate', message: `Duplicate value: ${JSON.stringify(name)}`, field: here }];
  });
}

function checkMounts(pod: ApiObject, container: unknown, field: string): Cause[] {
  const volumes = new Set(arrayAt(pod, 'spec', 'volumes').map((volume) => textAt(volume, 'name')));
  return arrayAt(container, 'volumeMounts').flatMap((mount, i): Cause[] => {
    const name = textAt(mount, 'name');
    if (volumes.has(name)) return [];
    const message = `Not found: ${JSON.stringify(name)}`;
    return [{ reason: 'FieldValueNotFound', message, field: `${field}.volumeMounts[${i}].name` }];
  });
}

function checkContainers(pod: ApiObject): Cause[] {
  const causes: Cause[] = [];
  for (const list of ['containers', 'initContainers'])
    for (const [i, container] of arrayAt(pod, 'spec', list).entries()) {
      const field = `spec.${list}[${i}]`;
      causes.push(...checkPorts(container, field), ...checkMounts(pod, container, field));
    }
  if (arrayAt(pod, 'spec', 'containers').length === 0)
    causes.push({ reason: 'FieldValueRequired', message: 'Required value', field: 'spec.containers' });
  return causes;
}

/** What of a Pod's spec may not change: all but images, and what may be shortened or added. */
function fixedPart(pod: ApiObject): unknown {
  const spec = structuredClone(objectAt(pod, 'spec'));
  for (const key of ['activeDeadlineSeconds', 'tolerations', 'terminationGracePeriodSeconds']) delete spec[key];
  for (const list of ['containers', 'initContainers'])
    for (const container of arrayAt(spec, list).filter(isObject)) {
      delete container['image'];
      delete container['imagePullPolicy'];
    }
  return spec;
}

/** What is wrong with a Pod beyond its schema; `old` is what it replaces. */
export function checkPod(pod: ApiObject, old: ApiObject | undefined): Cause[] {
  const causes = [
    ...checkContainers(pod),
    ...checkLabels(objectAt(pod, 'spec', 'nodeSelector'), 'spec.nodeSelector'),
    ...duplicateNames(pod),
  ];
  if (old !== undefined && !isDeepStrictEqual(fixedPart(pod), fixedPart(old)))
    causes.push({
      reason: 'FieldValueForbidden',
      message:
        'Forbidden: pod updates may not change fields other than `spec.containers[*].image`, ' +
        '`spec.initContainers[*].image`, `spec.activeDeadlineSeconds`, `spec.tolerations` or ' +
        '`spec.terminationGracePeriodSeconds`',
      field: 'spec',
    });
  return causes;
}
