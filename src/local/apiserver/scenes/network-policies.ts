import { TABLE, STRATEGIC, MERGE, GO, send } from './requests.ts';
import type { Request, Scene } from './scene.ts';

const POLICIES = '/apis/networking.k8s.io/v1/namespaces/NS/networkpolicies';

function policy(spec: object, more: Partial<Request> = {}): Request {
  return send(`POST ${POLICIES}?dryRun=All`, { metadata: { name: 'p' }, spec: { podSelector: {}, ...spec } }, more);
}

/** NetworkPolicies: defaults and what is refused. */
export const NETWORK_POLICIES: Scene = [
  policy({}, { show: ['spec', 'metadata.generation'] }),
  policy({ egress: [{}] }, { show: ['spec'] }),
  policy({ ingress: [{ ports: [{ port: 80 }, { port: 'http', protocol: 'UDP' }, {}] }] }, { show: ['spec'] }),
  policy({ podSelector: undefined }),
  policy({ podSelector: { matchLabels: { 'a b': 'c' } } }),
  policy({ podSelector: { matchLabels: { a: 7 } } }, { loosely: GO }),
  policy({ podSelector: { matchExpressions: [{ key: 'a', operator: 'In' }] } }),
  policy({ podSelector: { matchExpressions: [{ key: 'a', operator: 'Exists', values: ['x'] }] } }),
  policy({ podSelector: { matchExpressions: [{ key: 'a', operator: 'Like' }] } }),
  policy({ podSelector: { matchExpressions: [{ operator: 'Exists' }] } }),
  policy({ policyTypes: ['Sideways'] }),
  policy({ policyTypes: ['Ingress', 'Ingress'] }),
  policy({ policyTypes: ['Ingress', 'Egress', 'Ingress'] }),
  policy({ policyTypes: [] }, { show: ['spec'] }),
  policy({ ingress: [{ from: [{}] }] }),
  policy({ ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/33' } }] }] }),
  policy({ ingress: [{ from: [{ ipBlock: {} }] }] }),
  policy({ ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.1/8' } }] }] }, { show: ['kind'] }),
  policy({ ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['11.0.0.0/8'] } }] }] }),
  policy({ ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.0.0.0/8'] } }] }] }),
  policy({ ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['x'] } }] }] }),
  policy({ ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/8' }, podSelector: {} }] }] }),
  policy({ ingress: [{ from: [{ ipBlock: { cidr: '::ffff:10.0.0.0/104' } }] }] }),
  policy({ ingress: [{ ports: [{ port: 0 }] }] }),
  policy({ ingress: [{ ports: [{ port: 70_000 }] }] }),
  policy({ ingress: [{ ports: [{ port: 'x_y' }] }] }),
  policy({ ingress: [{ ports: [{ port: '80' }] }] }),
  policy({ ingress: [{ ports: [{ port: 80, endPort: 79 }] }] }),
  policy({ ingress: [{ ports: [{ port: 'http', endPort: 80 }] }] }),
  policy({ ingress: [{ ports: [{ endPort: 80 }] }] }),
  policy({ ingress: [{ ports: [{ port: 80, protocol: 'ICMP' }] }] }),
  policy({ ingress: [{ ports: [{ port: 80, endPort: 70_000 }] }] }),
  policy({ ingress: [{ ports: [{ port: 1.5 }] }] }, { loosely: GO }),
  policy({ egress: [{ to: [{}] }] }),
  policy({ ingress: 'x' }, { loosely: GO }),
  send(`POST ${POLICIES}`, { metadata: { name: 'p' } }, { show: ['spec'] }),
  send(
    `POST ${POLICIES}`,
    {
      metadata: { name: 'q' },
      spec: {
        podSelector: {
          matchLabels: { app: 'x', b: 'y' },
          matchExpressions: [
            { key: 'c', operator: 'In', values: ['1', '2'] },
            { key: 'd', operator: 'DoesNotExist' },
          ],
        },
      },
    },
    { show: ['spec.policyTypes', 'metadata.generation'] },
  ),
  send(`GET ${POLICIES}`, undefined, { ...TABLE, show: ['columnDefinitions', 'rows.0.cells', 'rows.1.cells'] }),
  send(`PATCH ${POLICIES}/p`, { spec: { ingress: [{}] } }, { ...MERGE, show: ['spec', 'metadata.generation'] }),
  send(
    `PATCH ${POLICIES}/p`,
    { metadata: { labels: { a: 'b' } } },
    { ...STRATEGIC, show: ['metadata.labels', 'metadata.generation'] },
  ),
  send(
    `PUT ${POLICIES}/p`,
    { metadata: { name: 'p' }, spec: { podSelector: {} } },
    { show: ['spec', 'metadata.generation'] },
  ),
  send(`GET ${POLICIES}/p/status`, undefined, { loosely: 'ours says what is missing' }),
  send(`DELETE ${POLICIES}/p`),
  send(`DELETE ${POLICIES}`, undefined, { show: ['kind', 'items.0.metadata.name'] }),
];
