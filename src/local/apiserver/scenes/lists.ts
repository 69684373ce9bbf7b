import { GO, list, NAMES, OTHER_WORDS, send, TABLE, widget, WIDGETS } from './requests.ts';
import type { Scene } from './scene.ts';

/** Selectors, pages, versions, tables. */
export const LISTS: Scene = [
  send(`GET ${WIDGETS}`),
  send('GET /apis/contract.romana.io/v1/namespaces/contract-nowhere/widgets'),
  send(`POST ${WIDGETS}`, widget('a', {}, { labels: { tier: 'front' } })),
  send(`POST ${WIDGETS}`, widget('b', {}, { labels: { tier: 'back', zone: '1' } })),
  send(`POST ${WIDGETS}`, widget('c')),
  ...[
    'tier',
    '!tier',
    'tier=front',
    'tier==front',
    'tier!=front',
    'tier in (front,back)',
    'tier notin (front)',
    'tier,zone=1',
  ].map((labelSelector) => list(WIDGETS, { labelSelector }, { show: NAMES })),
  ...['tier in', 'tier in front', 'a b', 'tier=a b', '=', '!', 'x/y/z=1', ','].map((labelSelector) =>
    list(WIDGETS, { labelSelector }, { loosely: OTHER_WORDS }),
  ),
  list(WIDGETS, { labelSelector: 'zone>0' }, { ours: { code: 400, why: 'labels are no numbers to any policy' } }),
  ...['tier in ()', 'tier=,zone'].map((labelSelector) =>
    list(WIDGETS, { labelSelector }, { show: ['items.0.metadata.name'] }),
  ),
  ...[
    'metadata.name=a',
    'metadata.name==a',
    'metadata.name!=a',
    'metadata.namespace=NS',
    'metadata.namespace=other',
    'metadata.name=a,metadata.name=b',
    '',
  ].map((fieldSelector) => list(WIDGETS, { fieldSelector }, { show: NAMES })),
  ...['spec.mode=fast', 'metadata.labels=x', 'nonsense', 'metadata.name', 'metadata.name>a', 'metadata.name=a,x=y'].map(
    (fieldSelector) => list(WIDGETS, { fieldSelector }),
  ),
  list(
    WIDGETS,
    { limit: '1' },
    { show: ['metadata.continue', 'metadata.remainingItemCount', 'items.0.metadata.name', 'items.1'] },
  ),
  list(
    WIDGETS,
    { limit: '2', labelSelector: 'tier' },
    { show: ['metadata.continue', 'metadata.remainingItemCount', 'items.1.metadata.name'] },
  ),
  list(
    WIDGETS,
    { limit: '1', labelSelector: 'tier' },
    { show: ['metadata.continue', 'metadata.remainingItemCount', 'items.0.metadata.name'] },
  ),
  list(
    WIDGETS,
    { limit: '3' },
    { show: ['metadata.continue', 'metadata.remainingItemCount', 'items.2.metadata.name'] },
  ),
  list(WIDGETS, { limit: '-1' }),
  list(WIDGETS, { limit: 'x' }, { loosely: GO }),
  list(WIDGETS, { continue: 'nonsense' }, { loosely: GO }),
  list(WIDGETS, { resourceVersion: 'x' }, { loosely: GO }),
  list(WIDGETS, { resourceVersion: '-1' }, { loosely: GO }),
  list(WIDGETS, { resourceVersion: '1', resourceVersionMatch: 'Nonsense' }),
  list(WIDGETS, { resourceVersionMatch: 'Exact' }),
  list(WIDGETS, { resourceVersion: '0', resourceVersionMatch: 'Exact' }),
  list(WIDGETS, { resourceVersion: '0' }, { show: ['kind', 'items.2.metadata.name'] }),
  list(
    WIDGETS,
    { resourceVersion: '0', resourceVersionMatch: 'NotOlderThan' },
    { show: ['kind', 'items.2.metadata.name'] },
  ),
  list(WIDGETS, { resourceVersion: '1', continue: 'abc' }, { loosely: GO }),
  send(`GET ${WIDGETS}?limit=1`, undefined, TABLE),
  send(`GET ${WIDGETS}`, undefined, TABLE),
  send(`GET ${WIDGETS}/a`, undefined, TABLE),
  send(`GET ${WIDGETS}?includeObject=None`, undefined, TABLE),
  send(`GET ${WIDGETS}?includeObject=Object`, undefined, TABLE),
  send(`GET ${WIDGETS}?includeObject=Nonsense`, undefined, TABLE),
  send(`GET ${WIDGETS}/none`, undefined, TABLE),
  send(`GET ${WIDGETS}/a`, undefined, {
    accept: 'application/json;as=Nonsense;v=v1;g=meta.k8s.io',
    loosely: 'ours shows fewer types',
  }),
  send(`GET ${WIDGETS}`, undefined, {
    accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io',
    ours: { code: 406, why: 'nobody here asks for metadata alone' },
  }),
  send(`GET ${WIDGETS}/a`, undefined, {
    accept: 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
    ours: { code: 406, why: 'nobody here asks for metadata alone' },
  }),
];

/** What a watch may be asked for. */
export const WATCHES: Scene = [
  send(`GET ${WIDGETS}?watch=1&resourceVersion=x`, undefined, { loosely: GO }),
  send(`GET ${WIDGETS}?watch=1&timeoutSeconds=x`, undefined, { loosely: GO }),
  send(`GET ${WIDGETS}?watch=1&resourceVersion=99999999&timeoutSeconds=1`, undefined, {
    ours: {
      code: 200,
      why: 'Kubernetes waits for a version to come; ours says 410 at once, as after a restored backup',
    },
  }),
  send(`GET ${WIDGETS}?watch=1&timeoutSeconds=1&resourceVersionMatch=NotOlderThan`),
  send(`GET ${WIDGETS}?watch=1&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan`, undefined, {
    ours: { code: 422, why: 'no streaming lists; clients fall back on lists' },
  }),
  send(`GET ${WIDGETS}?watch=1&timeoutSeconds=1&labelSelector=a+b`, undefined, { loosely: OTHER_WORDS }),
  send(`GET ${WIDGETS}?watch=1&timeoutSeconds=1&fieldSelector=spec.x%3D1`),
  send(`GET ${WIDGETS}?watch=0`),
];
