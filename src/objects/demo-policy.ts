import { err } from '../lib/result.ts';
import { isJsonObject, type Field, type JsonObject } from './field.ts';
import { parseObject, type Labels, type Meta, type Parsed } from './meta.ts';
import { readProtocol, type Protocol } from './protocol.ts';
import { readMatchLabels } from './selector.ts';

/** Today's apiVersion of the demo policy. */
export const DEMO_API_VERSION = 'demo.romana.io/v1';
/** The one of 2016, a third-party resource. Its slash is illegal in an API group today. */
export const LEGACY_DEMO_API_VERSION = 'romana.io/demo/v1';

/** A port that a demo policy opens. */
export interface DemoPort {
  readonly protocol: Protocol;
  /** 1 to 65535. */
  readonly port: number;
}

/** What a demo policy lets in. */
export interface AllowIncoming {
  /** Missing: every port; empty: none. */
  readonly toPorts?: readonly DemoPort[];
  /** Missing: everybody; empty: nobody. `pods` are labels of pods in the policy's own namespace. */
  readonly from?: readonly { readonly pods: Labels }[];
}

/** The founding page's NetworkPolicy: opens, and by itself isolates nothing. */
export interface DemoPolicy {
  readonly meta: Meta;
  /** Labels of the pods that it opens; without any, all pods of its namespace. */
  readonly podSelector: Labels;
  /** Missing: it opens nothing. */
  readonly allowIncoming?: AllowIncoming;
}

function readPort(field: Field): DemoPort {
  field.only('port', 'protocol');
  return { port: field.get('port').integer(1, 65_535), protocol: readProtocol(field.get('protocol')) };
}

function readPeer(field: Field): { readonly pods: Labels } {
  return { pods: readMatchLabels(field.only('pods').get('pods').required()) };
}

function readAllowIncoming(field: Field): AllowIncoming {
  field.only('toPorts', 'from');
  const toPorts = field.get('toPorts');
  const from = field.get('from');
  return {
    ...(toPorts.absent ? {} : { toPorts: toPorts.list(readPort) }),
    ...(from.absent ? {} : { from: from.list(readPeer) }),
  };
}

/** Whether `json` says that it is of the demo policy's API of 2016, in either spelling. */
export function isLegacyDemo(json: unknown): json is JsonObject {
  if (!isJsonObject(json)) return false;
  return (json['apiVersion'] ?? json['groupVersion']) === LEGACY_DEMO_API_VERSION;
}

/**
 * Parses a demo policy in today's form or in that of 2016 (`apiVersion` or `groupVersion` romana.io/demo/v1).
 * A field in its spec that is not known is a fault (R25): it may have been meant to narrow what is opened.
 */
export function parseDemoPolicy(json: unknown): Parsed<DemoPolicy> {
  const modern = isJsonObject(json) ? toModern(json) : json;
  if (isJsonObject(modern) && modern['apiVersion'] !== DEMO_API_VERSION) {
    const message = `must be ${DEMO_API_VERSION} or ${LEGACY_DEMO_API_VERSION}`;
    return err([{ field: 'apiVersion', message }]);
  }
  const type = { apiVersion: DEMO_API_VERSION, kind: 'NetworkPolicy' };
  return parseObject(modern, type, { nulls: 'error' }, (object, meta) => {
    object.get('kind').required();
    const spec = object.get('spec').required().only('podSelector', 'allowIncoming');
    const allow = spec.get('allowIncoming');
    return {
      meta,
      podSelector: readMatchLabels(spec.get('podSelector').required()),
      ...(allow.absent ? {} : { allowIncoming: readAllowIncoming(allow) }),
    };
  });
}

function rewrite(json: JsonObject, apiVersion: string, one: (item: JsonObject) => JsonObject): JsonObject {
  const { apiVersion: _old, groupVersion: _oldest, items, ...rest } = json;
  const rewritten = { ...rest, apiVersion };
  if (items === undefined) return rewritten;
  return {
    ...rewritten,
    items: Array.isArray(items) ? items.map((i: unknown) => (isJsonObject(i) ? one(i) : i)) : items,
  };
}

/** Rewrites a demo policy of 2016, or a list of them, to today's form; returns anything else as it is. */
export function toModern(json: JsonObject): JsonObject {
  return isLegacyDemo(json) ? rewrite(json, DEMO_API_VERSION, toModern) : json;
}

/** Rewrites a demo policy of today, or a list of them, to the form of 2016; returns anything else as it is. */
export function toLegacy(json: JsonObject): JsonObject {
  return json['apiVersion'] === DEMO_API_VERSION ? rewrite(json, LEGACY_DEMO_API_VERSION, toLegacy) : json;
}
