import { isIP } from 'node:net';
import { cidrBase, cidrLength, contains, parseCidr } from '../../addr/cidr.ts';
import {
  arrayAt,
  at,
  ensureObject,
  isObject,
  objectAt,
  textAt,
  type ApiObject,
  type JsonObject,
} from './api-object.ts';
import { checkLabels } from './metadata.ts';
import { checkPortName } from './port-name.ts';
import type { Cause } from './status-error.ts';

const SIDES = [
  ['ingress', 'from'],
  ['egress', 'to'],
] as const;

/** Sets, in place, the defaults of a NetworkPolicy (networking.k8s.io/v1): its types, and TCP for ports. */
export function defaultNetworkPolicy(policy: ApiObject): void {
  const spec = ensureObject(policy, 'spec');
  spec['podSelector'] ??= {};
  if (arrayAt(spec, 'policyTypes').length === 0)
    spec['policyTypes'] = arrayAt(spec, 'egress').length > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
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

function isWithin(inner: string, outer: string): boolean {
  const [a, b] = [parseCidr(inner), parseCidr(outer)];
  return a.ok && b.ok && cidrLength(a.value) > cidrLength(b.value) && contains(b.value, cidrBase(a.value));
}

function checkCidr(text: string, field: string): Cause[] {
  const [address = '', length = ''] = text.split('/');
  const family = isIP(address);
  if (family === 0 || !/^(0|[1-9]\d{0,2})$/.test(length) || Number(length) > (family === 4 ? 32 : 128))
    return [bad(field, text, 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)')];
  if (/^::ffff:/i.test(address)) return [bad(field, text, 'must not have an IPv4-mapped IPv6 address')];
  return parseCidr(text).ok ? [] : [bad(field, text, 'must not have bits set beyond the prefix length')];
}

function checkBlock(block: JsonObject, field: string): Cause[] {
  const cidr = textAt(block, 'cidr');
  if (cidr === '') return [];
  const causes = checkCidr(cidr, `${field}.cidr`);
  for (const [i, except] of arrayAt(block, 'except').entries()) {
    const here = `${field}.except[${i}]`;
    const faults = checkCidr(String(except), here);
    if (faults.length === 0 && causes.length === 0 && !isWithin(String(except), cidr))
      faults.push(bad(here, except, 'must be a strict subset of `cidr`'));
    causes.push(...faults);
  }
  return causes;
}

function checkPort(port: JsonObject, field: string): Cause[] {
  const { port: number, endPort: end } = port;
  const causes = typeof number === 'string' ? checkPortName(number, `${field}.port`) : [];
  if (end === undefined) return causes;
  if (number === undefined)
    return [...causes, bad(`${field}.endPort`, end, 'may not be specified when `port` is not specified')];
  if (typeof number !== 'number')
    return [...causes, bad(`${field}.endPort`, end, 'may not be specified when `port` is non-numeric')];
  // Kubernetes shows the port here.
  if (Number(end) < number) causes.push(bad(`${field}.endPort`, number, 'must be greater than or equal to `port`'));
  return causes;
}

function checkExpression(expression: unknown, field: string): Cause[] {
  const operator = textAt(expression, 'operator');
  const key = textAt(expression, 'key');
  const causes = checkLabels({ [key]: '' }, `${field}.key`);
  const valued = ['In', 'NotIn'].includes(operator);
  const count = arrayAt(expression, 'values').length;
  const values = `${field}.values`;
  if (!valued && !['Exists', 'DoesNotExist'].includes(operator))
    return [...causes, bad(`${field}.operator`, operator, 'not a valid selector operator')];
  if (valued && count === 0) {
    const message = "Required value: must be specified when `operator` is 'In' or 'NotIn'";
    causes.push({ reason: 'FieldValueRequired', message, field: values });
  } else if (!valued && count > 0) {
    const message = "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
    causes.push({ reason: 'FieldValueForbidden', message, field: values });
  }
  return causes;
}

function checkSelector(selector: unknown, field: string): Cause[] {
  const expressions = arrayAt(selector, 'matchExpressions');
  return [
    ...checkLabels(objectAt(selector, 'matchLabels'), `${field}.matchLabels`),
    ...expressions.flatMap((expression, i) => checkExpression(expression, `${field}.matchExpressions[${i}]`)),
  ];
}

/** What is wrong with a NetworkPolicy beyond its schema. */
export function checkNetworkPolicy(policy: ApiObject): Cause[] {
  const spec = objectAt(policy, 'spec');
  const causes = checkSelector(spec['podSelector'], 'spec.podSelector');
  const types = arrayAt(spec, 'policyTypes');
  if (types.length > 2) causes.push(bad('spec.policyTypes', types, 'may not specify more than two policyTypes'));
  for (const [side, peersKey] of SIDES)
    for (const [i, rule] of arrayAt(spec, side).entries()) {
      const here = `spec.${side}[${i}]`;
      for (const [j, peer] of arrayAt(rule, peersKey).entries()) {
        const field = `${here}.${peersKey}[${j}]`;
        if (isObject(peer)) causes.push(...checkPeer(peer, field));
        causes.push(...checkBlock(objectAt(peer, 'ipBlock'), `${field}.ipBlock`));
        for (const key of ['podSelector', 'namespaceSelector'])
          causes.push(...checkSelector(at(peer, key), `${field}.${key}`));
      }
      for (const [j, port] of arrayAt(rule, 'ports').entries())
        if (isObject(port)) causes.push(...checkPort(port, `${here}.ports[${j}]`));
    }
  return causes;
}
