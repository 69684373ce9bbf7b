import { objectAt, type JsonObject } from '../api-object.ts';
import type { Request } from './scene.ts';

/** Where the widgets of a scene are; `CONTRACT_CRD` describes them. */
export const WIDGETS = '/apis/contract.romana.io/v1/namespaces/NS/widgets';
export const PODS = '/api/v1/namespaces/NS/pods';

export const MERGE = { type: 'application/merge-patch+json' };
export const STRATEGIC = { type: 'application/strategic-merge-patch+json' };
export const TABLE = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' };

/** Why texts may differ. */
export const GO = 'it quotes Go types or Go libraries';
export const OTHER_WORDS = 'ours says it in its own words';
export const NO_VERB = 'a verb that is not there';

/** The names in a list, its first three. */
export const NAMES = ['items.0.metadata.name', 'items.1.metadata.name', 'items.2.metadata.name'];

/** A request; `more` is what is special about it or its answer. */
export function send(request: Request['send'], body?: unknown, more: Partial<Request> = {}): Request {
  return { send: request, ...(body === undefined ? {} : { body }), ...more };
}

/** A list, narrowed by a query. */
export function list(path: string, query: Record<string, string>, more: Partial<Request> = {}): Request {
  return { send: `GET ${path}?${new URLSearchParams(query).toString()}`, ...more };
}

/** A widget that is right, with more fields of spec and metadata. */
export function widget(name: string, spec: object = {}, metadata: object = {}): object {
  return {
    apiVersion: 'contract.romana.io/v1',
    kind: 'Widget',
    metadata: { name, ...metadata },
    spec: { plans: [], ...spec },
  };
}

/** The answers before. */
export type Made = readonly JsonObject[];

/** An answer with other metadata, to be sent again. */
export function withMetadata(object: JsonObject | undefined, metadata: object): object {
  return { ...object, metadata: { ...objectAt(object, 'metadata'), ...metadata } };
}
