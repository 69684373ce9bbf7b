import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { formatPlan } from '../../src/addr/plan.ts';
import { HttpKubeClient } from '../../src/kube/http-client.ts';
import {
  type BaseDirectories,
  type ClusterLayout,
  clusterLayout,
  type NodeLayout,
} from '../../src/local/cluster-layout.ts';
import { clusterPlans } from '../../src/addr/cluster-plans.ts';
import { embedded } from '../../src/local/embedded.ts';
import { networkObject } from '../../src/local/install-objects.ts';
import { parseOwnKubeconfig } from '../../src/local/pki.ts';
import { apiServerService, runtimeService, type Service } from '../../src/local/services.ts';
import { up, type UpOptions } from '../../src/local/up.ts';
import { unwrap } from '../../src/lib/result.ts';
import { fakeCniService } from './fake-cni.ts';

/** The checkout under test. */
export const CHECKOUT = resolve(import.meta.dirname, '../..');

/** Where the set-up unpacks Debian's nginx; undefined where it did not. */
export const NGINX = existsSync(`${CHECKOUT}/.cache/nginx/usr/sbin/nginx`) ? `${CHECKOUT}/.cache/nginx` : undefined;

/** Debian's CNI plugins, as installed or as the set-up unpacked them; undefined where there are none. */
export const CNI_PLUGINS = ['/usr/lib/cni', `${CHECKOUT}/.cache/cni-plugins/usr/lib/cni`].find((folder) =>
  existsSync(`${folder}/portmap`),
);

/** Directories of this test run's own. */
export const TEST_BASE: BaseDirectories = {
  run: `/run/rt-${process.pid}-local`,
  lib: `/var/lib/rt-${process.pid}-local`,
  netns: '/run/netns',
};

/** A cluster of this test run's own, not made yet. */
export function testLayout(name: string, minions: number): ClusterLayout {
  return clusterLayout(`rt-${process.pid}-${name}`, minions, TEST_BASE);
}

/** A client with people's credentials. */
export function peopleClient(layout: ClusterLayout): HttpKubeClient {
  return new HttpKubeClient(parseOwnKubeconfig(readFileSync(layout.kubeconfig, 'utf8')).connection);
}

/** API server and node runtime as they are, with a CNI plugin of the test's own in place of the agent. */
export function servicesWithoutAgent(node: NodeLayout): readonly Service[] {
  const everywhere = [runtimeService(node, CHECKOUT, NGINX), fakeCniService];
  return node.master ? [apiServerService(CHECKOUT), ...everywhere] : everywhere;
}

/** What `up` needs, for the services given. */
export function upOptions(layout: ClusterLayout, services: (node: NodeLayout) => readonly Service[]): UpOptions {
  const plans = unwrap(clusterPlans([]));
  return {
    layout,
    plans: plans.map(formatPlan),
    making: embedded({
      network: networkObject(plans),
      namespaces: [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'tenant-a' } }],
      services,
      cniPlugins: CNI_PLUGINS,
    }),
    checkout: CHECKOUT,
    connect: (file) => new HttpKubeClient(parseOwnKubeconfig(readFileSync(file, 'utf8')).connection),
    owner: { uid: 0, gid: 0 },
    progress: () => undefined,
    signal: new AbortController().signal,
    readyMs: 60_000,
  };
}

/** Brings a cluster without agents up. */
export async function upWithoutAgents(layout: ClusterLayout): Promise<void> {
  await up(upOptions(layout, servicesWithoutAgent));
}
