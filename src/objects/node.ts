import { parseAddress, type Address } from '../addr/address.ts';
import { Field, type FieldError } from './field.ts';
import { parseObject, type Meta, type Parsed } from './meta.ts';

/** What a condition of a Node says, without its times. */
export interface NodeCondition {
  readonly status: 'True' | 'False' | 'Unknown';
  /** One word in CamelCase. */
  readonly reason: string;
  readonly message: string;
}

/** A Kubernetes node: a host. */
export interface Node {
  readonly meta: Meta;
  /** Addresses of types InternalIP, then ExternalIP, each in the order of status.addresses, no address twice. */
  readonly addresses: readonly Address[];
  /** Its condition NetworkUnavailable; absent while nobody has said anything. */
  readonly networkUnavailable?: NodeCondition;
  /** Addresses that could not be read. They do not make the node itself unreadable: its other addresses serve. */
  readonly problems: readonly FieldError[];
}

/** Parses a core/v1 Node. */
export function parseNode(json: unknown): Parsed<Node> {
  return parseObject(json, { apiVersion: 'v1', kind: 'Node' }, { nulls: 'absent' }, (object, meta) => {
    const status = Field.root(object.get('status').value, { nulls: 'absent' }, 'status');
    const byType: Record<'InternalIP' | 'ExternalIP', Address[]> = { InternalIP: [], ExternalIP: [] };
    for (const item of status.get('addresses').items()) {
      const type = item.get('type').value;
      if (type !== 'InternalIP' && type !== 'ExternalIP') continue;
      const address = item.get('address').parsed(parseAddress);
      if (address !== undefined) byType[type].push(address);
    }
    const addresses = [...new Set([...byType.InternalIP, ...byType.ExternalIP])];
    return { meta, addresses, problems: status.errors, ...readNetworkUnavailable(status.get('conditions')) };
  });
}

function readNetworkUnavailable(conditions: Field): Pick<Node, 'networkUnavailable'> {
  const condition = conditions.items().find((item) => item.get('type').value === 'NetworkUnavailable');
  if (condition === undefined) return {};
  return {
    networkUnavailable: {
      status: condition.get('status').oneOf(['True', 'False', 'Unknown'], 'Unknown'),
      reason: condition.get('reason').string(''),
      message: condition.get('message').string(''),
    },
  };
}
