import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { lintCommand } from './lint.ts';
import { filesOf, runCommand } from './test-run.ts';

const PODS = `apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}}
---
`;
const DNS = `apiVersion: v1
kind: Pod
metadata: {name: dns, namespace: kube-system, labels: {k8s-app: kube-dns}}
spec: {containers: [{name: c, ports: [{name: dns, containerPort: 53, protocol: UDP}]}]}
---
`;

function v1(spec: string): string {
  return `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec: ${spec}\n---\n`;
}

function cluster(name: string, spec: string): string {
  return `apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {name: ${name}}\nspec: ${spec}\n---\n`;
}

async function lint(t: TestContext, text: string): Promise<{ status: number; lines: readonly string[] }> {
  const [file = ''] = filesOf(t, { 'a.yaml': PODS + text });
  const ran = await runCommand((deps) => lintCommand({ files: [file], output: 'text' }, deps));
  return { status: ran.status, lines: ran.stdout.replaceAll(file, 'a.yaml').trimEnd().split('\n') };
}

test('lint finds each kind of doubtful policy, with file and line', async (t) => {
  const table: readonly (readonly [string, string])[] = [
    [
      v1('{podSelector: {matchLabels: {app: wbe}}}'),
      'a.yaml:13: NetworkPolicy shop/p spec.podSelector: selects no running pod [selects-nothing]',
    ],
    [
      v1('{ingress: [{from: [{podSelector: {}}, {podSelector: {matchLabels: {app: wbe}}}]}]}'),
      'a.yaml:13: NetworkPolicy shop/p spec.ingress[0].from[1]: matches no running pod [peer-matches-nothing]',
    ],
    [
      v1('{policyTypes: [Ingress], egress: [{}]}'),
      'a.yaml:13: NetworkPolicy shop/p spec.egress: has no effect: spec.policyTypes has no Egress [rules-without-effect]',
    ],
    [
      v1('{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 80}]}]}'),
      'a.yaml:13: NetworkPolicy shop/p spec.ingress[0].ports[0]: no container of its pods declares TCP/80 [no-such-port]',
    ],
    [
      v1('{policyTypes: [Egress], egress: [{ports: [{port: 443}]}]}'),
      'a.yaml:13: NetworkPolicy shop/p spec: isolates egress, and no policy lets its pods ask a DNS server (UDP/53) [no-dns]',
    ],
    [
      v1('{ingress: [{from: [{podSelecter: {}}]}]}'),
      'a.yaml:13: NetworkPolicy shop/p spec.ingress[0].from[0].podSelecter: unknown field [fails-closed]',
    ],
    [
      cluster('a', '{tier: Admin, priority: 1, subject: {namespaces: {}}}') +
        cluster('b', '{tier: Admin, priority: 1, subject: {namespaces: {}}}'),
      'a.yaml:18: ClusterNetworkPolicy b spec.priority: 1 is the priority of ClusterNetworkPolicy a, too: where both match, the first by name decides [equal-priorities]',
    ],
    [
      cluster(
        'a',
        '{tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{nodes: {matchLabels: {zone: a}}}]}]}',
      ),
      'a.yaml:13: ClusterNetworkPolicy a spec.egress[0].to[0]: matches no Node [peer-matches-nothing]',
    ],
    [
      cluster(
        'a',
        '{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Accept, from: [{namespaces: {}}], protocols: [{destinationNamedPort: htpp}]}]}',
      ),
      'a.yaml:13: ClusterNetworkPolicy a spec.ingress[0].protocols: no container of its pods declares htpp [no-such-port]',
    ],
    [
      DNS + v1('{policyTypes: [Egress], egress: [{to: [{podSelector: {}}]}]}'),
      'a.yaml:18: NetworkPolicy shop/p spec: keeps shop/db from every DNS server, such as kube-system/dns on UDP/53 [no-dns]',
    ],
  ];
  for (const [text, wanted] of table) {
    assert.deepEqual(await lint(t, text), { status: 1, lines: [wanted] });
  }
});

test('lint has nothing against policies that mean something', async (t) => {
  const good = v1(
    '{podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress, Egress], ingress: [{ports: [{port: http}], from: [{podSelector: {matchLabels: {app: db}}}]}], egress: [{to: [{namespaceSelector: {}}], ports: [{port: 53, protocol: UDP}]}]}',
  );
  assert.deepEqual(await lint(t, DNS + good), { status: 0, lines: [''] });
});
