import { MAX_ID } from './host.ts';
import { parseObject, type Meta, type Parsed } from './meta.ts';
import { apiVersionOf, type Resource } from './resources.ts';

/** Claims of ids, one object an id: two creations of one name can't both succeed. See docs/adr/0002-ids.md. */
export const ID_CLAIMS: Resource = {
  group: 'romana.io',
  version: 'v1',
  plural: 'idclaims',
  kind: 'IdClaim',
  namespaced: false,
};

/** What an id is of. Segments need no claims: their ids are all in one object, the Tenant's status. */
export type ClaimKind = 'Host' | 'Tenant';

/** Whose the id is. */
export interface ClaimHolder {
  /** Of the Node, or of the namespace. */
  readonly name: string;
  /** The Tenant object's uid; '' for hosts, whose ids stay with the name of their Node. */
  readonly uid: string;
}

/** An id and its one holder. */
export interface IdClaim {
  readonly meta: Meta;
  readonly kind: ClaimKind;
  /** Hosts from 0, tenants from 1. */
  readonly id: number;
  readonly holder: ClaimHolder;
  /** The holder is known to be gone for good; the id goes to a new one when every agent has acknowledged that. */
  readonly released: boolean;
}

/** The name of the one object that can claim this id. */
export function claimName(kind: ClaimKind, id: number): string {
  return `${kind.toLowerCase()}-${id}`;
}

/** Parses a romana.io/v1 IdClaim; one whose name is not that of its id claims nothing. */
export function parseIdClaim(json: unknown): Parsed<IdClaim> {
  const type = { apiVersion: apiVersionOf(ID_CLAIMS), kind: ID_CLAIMS.kind };
  return parseObject(json, type, { nulls: 'error' }, (object, meta) => {
    const spec = object.get('spec').required();
    const kind = spec.get('kind').oneOf(['Host', 'Tenant']);
    const id = spec.get('id').integer(kind === 'Host' ? 0 : 1, MAX_ID);
    if (meta.name !== claimName(kind, id)) spec.get('id').fail(`must be that of the object's name, found ${id}`);
    const holder = spec.get('holder').required();
    return {
      meta,
      kind,
      id,
      holder: { name: holder.get('name').string(), uid: holder.get('uid').string('') },
      released: spec.get('released').boolean(false),
    };
  });
}

/** A claim that is to be made. */
export type NewClaim = Pick<IdClaim, 'kind' | 'id' | 'holder'>;

/** A new claim as an object for the API. */
export function idClaimToJson(claim: NewClaim): object {
  return {
    apiVersion: apiVersionOf(ID_CLAIMS),
    kind: ID_CLAIMS.kind,
    metadata: { name: claimName(claim.kind, claim.id) },
    spec: { kind: claim.kind, id: claim.id, holder: claim.holder },
  };
}
