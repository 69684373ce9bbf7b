import type { JsonObject } from './api-object.ts';

function text(description: string): JsonObject {
  return { description, type: 'string' };
}

function time(description: string): JsonObject {
  return { description, type: 'string', format: 'date-time' };
}

function texts(description: string): JsonObject {
  return { description, type: 'object', additionalProperties: { type: 'string' } };
}

const OWNER = {
  type: 'object',
  required: ['apiVersion', 'kind', 'name', 'uid'],
  properties: {
    apiVersion: text("The owner's API version"),
    kind: text("The owner's kind"),
    name: text("The owner's name"),
    uid: text("The owner's uid"),
    controller: { description: 'Whether the owner manages the object', type: 'boolean' },
    blockOwnerDeletion: { description: 'Kept, but has no effect here', type: 'boolean' },
  },
};

/** The OpenAPI schema of `metadata` (meta/v1 ObjectMeta), as far as this server keeps to it. */
export const OBJECT_META_SCHEMA: JsonObject = {
  description: 'What all objects have',
  type: 'object',
  properties: {
    name: text('Unique among the objects of its kind in its namespace; never changes'),
    generateName: text('What the server begins a name with, when there is none'),
    namespace: text('The namespace that the object is in'),
    uid: text('Unique among all objects there ever were; set by the server'),
    resourceVersion: text('Changes with every write; a write that names an older one is refused'),
    generation: { description: 'Counts the changes to what is wanted', type: 'integer', format: 'int64' },
    creationTimestamp: time('When the object was made'),
    deletionTimestamp: time('When the object is to be gone'),
    deletionGracePeriodSeconds: { description: 'Seconds it has to end', type: 'integer', format: 'int64' },
    labels: texts('Words to select the object by'),
    annotations: texts('Words about the object, which nobody selects by'),
    finalizers: { description: 'What must be done before the object goes', type: 'array', items: { type: 'string' } },
    ownerReferences: { description: 'Objects that this one belongs to', type: 'array', items: OWNER },
    managedFields: {
      description: 'Never set here',
      type: 'array',
      items: { type: 'object', additionalProperties: true },
    },
    selfLink: text('Never set here'),
  },
};
