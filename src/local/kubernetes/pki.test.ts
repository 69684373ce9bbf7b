import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { BASE_DIRECTORIES, clusterLayout } from '../cluster-layout.ts';
import { parseOwnKubeconfig } from '../pki.ts';
import { networkingOf } from './networking.ts';
import { extendKubernetesPki, makeKubernetesPki } from './pki.ts';

const KIND = { flavour: 'kubernetes', families: [4, 6] } as const;

function certificate(pem: string | undefined): X509Certificate {
  return new X509Certificate(pem ?? '');
}

test('makeKubernetesPki gives every node what it needs, and the keys of the cluster to the master alone', async () => {
  const layout = clusterLayout('x', 1, BASE_DIRECTORIES, KIND);
  const pki = await makeKubernetesPki(layout, networkingOf(KIND.families));
  const [master, minion] = layout.nodes.map((node) => pki.filesOf(node));
  assert.ok(master && minion);
  const ca = new X509Certificate(pki.ca);

  const server = certificate(master['pki/apiserver.crt']);
  assert.ok(server.verify(ca.publicKey) && server.checkPrivateKey(createPrivateKey(master['pki/apiserver.key'] ?? '')));
  for (const ip of ['127.0.0.1', '192.168.99.10', 'fd00:99::10', '10.96.0.1', 'fd96::1'])
    assert.ok(server.checkIP(ip), ip);
  for (const name of ['localhost', 'kubernetes.default.svc']) assert.ok(server.checkHost(name), name);

  const { connection } = parseOwnKubeconfig(minion['kubelet.kubeconfig'] ?? '');
  assert.equal(connection.server, 'https://192.168.99.10:6443');
  const kubelet = certificate(connection.certificate);
  assert.ok(kubelet.verify(ca.publicKey));
  assert.equal(kubelet.subject, 'O=system:nodes\nCN=system:node:minion1');
  assert.equal(certificate(pki.people.certificate).subject, 'O=system:masters\nCN=admin');
  assert.ok(certificate(minion['pki/kubelet.crt']).checkIP('fd00:99::11'));

  const signing = createPublicKey(createPrivateKey(master['pki/sa.key'] ?? '')).export({ type: 'spki', format: 'pem' });
  assert.equal(signing, master['pki/sa.pub']);
  assert.deepEqual(
    Object.keys(minion).filter((file) => file.endsWith('.key')),
    ['pki/kubelet.key'],
  );
});

test('extendKubernetesPki gives a node that joins what the others have, by the same authority', async () => {
  const layout = clusterLayout('x', 2, BASE_DIRECTORIES, KIND);
  const [master, minion, joining] = layout.nodes;
  assert.ok(master && minion && joining);
  const networking = networkingOf(KIND.families);
  const pki = await makeKubernetesPki({ ...layout, nodes: [master, minion] }, networking);
  const files = pki.filesOf(master);
  const more = await extendKubernetesPki({ name: 'x', networking, master: (file) => files[file] ?? '' }, joining);
  assert.deepEqual(Object.keys(more), Object.keys(pki.filesOf(minion)));
  const { connection } = parseOwnKubeconfig(more['kubelet.kubeconfig'] ?? '');
  assert.equal(connection.server, 'https://192.168.99.10:6443');
  assert.ok(certificate(connection.certificate).verify(new X509Certificate(pki.ca).publicKey));
  assert.equal(certificate(connection.certificate).subject, 'O=system:nodes\nCN=system:node:minion2');
  assert.ok(certificate(more['pki/kubelet.crt']).checkIP('192.168.99.12'));
});
