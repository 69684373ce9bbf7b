import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BASE_DIRECTORIES, clusterLayout, type NodeLayout } from '../cluster-layout.ts';
import { networkingOf, type ProxyMode } from './networking.ts';
import { nodeFiles } from './node-files.ts';
import { kubernetesServices } from './services.ts';
import type { Family } from '../../addr/address.ts';

function nodesOf(families: readonly Family[]): readonly NodeLayout[] {
  return clusterLayout('x', 1, BASE_DIRECTORIES, { flavour: 'kubernetes', families }).nodes;
}

function wordsOf(families: readonly Family[], proxy: ProxyMode = 'iptables'): Map<string, string> {
  const networking = networkingOf(families);
  return new Map(
    nodesOf(families).flatMap((node) =>
      kubernetesServices(node, { checkout: '/checkout', networking, proxy, flags: { kubelet: ['--v=4'] } }).map(
        ({ name, words }) => [`${name} on ${node.name}`, words.join(' ')] as const,
      ),
    ),
  );
}

test('kubernetesServices gives the master the control plane and every node what runs pods', () => {
  assert.deepEqual([...wordsOf([4, 6], 'none').keys()].toSorted(), [
    'containerd on master',
    'containerd on minion1',
    'etcd on master',
    'kube-apiserver on master',
    'kube-controller-manager on master',
    'kube-scheduler on master',
    'kubelet on master',
    'kubelet on minion1',
    'local-forward on master',
    'registry on master',
  ]);
  assert.ok(wordsOf([4, 6], 'nftables').has('kube-proxy on minion1'));
});

test('kubernetesServices has addresses of the families of the cluster alone, and no podCIDRs', () => {
  const both = wordsOf([4, 6]);
  assert.match(both.get('kube-apiserver on master') ?? '', /--service-cluster-ip-range=10\.96\.0\.0\/16,fd96::\/112/);
  assert.match(both.get('kubelet on minion1') ?? '', /--node-ip=192\.168\.99\.11,fd00:99::11 .*--v=4$/);
  assert.match(both.get('kube-controller-manager on master') ?? '', /--allocate-node-cidrs=false/);
  const six = wordsOf([6]);
  assert.match(six.get('kube-apiserver on master') ?? '', /--advertise-address=fd00:99::10 /);
  assert.match(six.get('local-forward on master') ?? '', /--to \[fd00:99::10\]:6443$/);
  for (const words of six.values()) assert.doesNotMatch(words, /192\.168\.99|10\.96/);
  for (const words of wordsOf([4]).values()) assert.doesNotMatch(words, /fd00:99|fd96/);
});

test('nodeFiles tells kube-proxy to know the cluster by the names of interfaces, and the kubelet its families', () => {
  const [, minion] = nodesOf([6]);
  assert.ok(minion);
  const files = nodeFiles(minion, { networking: networkingOf([6]), proxy: 'nftables', cgroup: '/x/minion1' });
  const proxy = JSON.parse(files['kube-proxy.yaml'] ?? '') as Record<string, unknown>;
  assert.deepEqual(
    [proxy['mode'], proxy['detectLocalMode'], proxy['detectLocal'], proxy['clusterCIDR'], proxy['bindAddress']],
    ['nftables', 'InterfaceNamePrefix', { interfaceNamePrefix: 'roma' }, undefined, '::'],
  );
  const kubelet = JSON.parse(files['kubelet.yaml'] ?? '') as Record<string, unknown>;
  assert.deepEqual([kubelet['cgroupRoot'], kubelet['clusterDNS']], ['/x/minion1', ['fd96::a']]);
  assert.match(files['registries/_default/hosts.toml'] ?? '', /"http:\/\/\[fd00:99::10\]:5000"/);
});
