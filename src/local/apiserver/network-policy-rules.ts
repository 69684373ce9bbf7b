import { arrayAt, at, isObject, objectAt, type ApiObject, type JsonObject } from './api-object.ts';
import type { Cause } from './status-error.ts';

const SIDES = [
  ['ingress', 'from'],
  ['egress', 'to'],
] as const;

/** Sets, in place, the defaults of a NetworkPolicy (networking.k8s.io/v1): its types, and TCP for ports. */
export function defaultNetworkPolicy(policy: ApiObject): void {
  if (!isObject(policy.spec)) return;
  const { spec } = policy;
  spec['podSelector'] ??= {};
  spec['policyTypes'] ??= arrayAt(spec, 'egress').length > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
  for (const [side] of SIDES)
    for (const rule of arrayAt(spec, side))
      for (const port of arrayAt(rule, 'ports').filter(isObject)) port['protocol'] ??= 'TCP';
}

function bad(field: string, value: unknown, why: string): Cause {
  return { reason: 'FieldValueInvalid', message: `Invalid value: ${JSON.stringify(value)}: ${why}`, field };
}

function checkPeer(peer: JsonObject, field: string): Cause[] {
  const kinds = ['podSelector', 'namespaceSelector', 'ipBlock'].filter((key) => peer[key] !== undefined);
  if (kinds.length === 0)
    return [{ reason: 'FieldValueRequired', message: 'Required value: must specify a peer', field }];
  if (kinds.length > 1 && kinds.includes('ipBlock'))
    return [
      { reason: 'FieldValueForbidden', message: 'Forbidden: may not specify both ipBlock and another peer', field },
    ];
  return [];
}

function checkPort(port: JsonObject, field: string): Cause[] {
  const number = port['port'];
  if (typeof number === 'string' && (!/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(number) || !/[a-z]/.test(number)))
    return [bad(`${field}.port`, number, 'is no name of a port (RFC 6335)')];
  const end = port['endPort'];
  if (end === undefined) return [];
  if (typeof number !== 'number') return [bad(`${field}.endPort`, end, 'needs a number in port')];
  if (Number(end) < number) return [bad(`${field}.endPort`, end, 'must be greater than or equal to port')];
  return [];
}

function checkSelector(selector: unknown, field: string): Cause[] {
  return arrayAt(selector, 'matchExpressions').flatMap((expression, i) => {
    const wantsValues = ['In', 'NotIn'].includes(String(at(expression, 'operator')));
    const count = arrayAt(expression, 'values').length;
    if (wantsValues === count > 0) return [];
    const why = wantsValues ? 'must be specified when operator is In or NotIn' : 'may not be specified here';
    return [bad(`${field}.matchExpressions[${i}].values`, at(expression, 'values') ?? null, why)];
  });
}

/** What is wrong with a NetworkPolicy beyond its schema. */
export function checkNetworkPolicy(policy: ApiObject): Cause[] {
  const spec = objectAt(policy, 'spec');
  const causes = checkSelector(spec['podSelector'], 'spec.podSelector');
  for (const [side, peersKey] of SIDES)
    for (const [i, rule] of arrayAt(spec, side).entries()) {
      const here = `spec.${side}[${i}]`;
      for (const [j, peer] of arrayAt(rule, peersKey).entries()) {
        const field = `${here}.${peersKey}[${j}]`;
        if (isObject(peer)) causes.push(...checkPeer(peer, field));
        for (const key of ['podSelector', 'namespaceSelector'])
          causes.push(...checkSelector(at(peer, key), `${field}.${key}`));
      }
      for (const [j, port] of arrayAt(rule, 'ports').entries())
        if (isObject(port)) causes.push(...checkPort(port, `${here}.ports[${j}]`));
    }
  return causes;
}
