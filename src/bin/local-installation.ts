import { join } from 'node:path';

import type { Plan } from '../addr/plan.ts';
import { API_SERVER, type ClusterKind } from '../local/cluster-layout.ts';
import { networkObject } from '../local/install-objects.ts';
import type { Installation } from '../local/kubernetes/kubernetes.ts';
import { networkingOf, type ProxyMode } from '../local/kubernetes/networking.ts';
import { provideImage } from '../local/kubernetes/romana-image.ts';
import { CHECKOUT } from './local-call.ts';

/** Which installation is wanted, and who is told what is under way. */
export interface LocalInstallationOptions {
  readonly kind: ClusterKind;
  readonly proxy: ProxyMode;
  readonly plans: readonly Plan[];
  readonly progress: (step: string) => void;
  readonly signal: AbortSignal;
}

/** Romana as `romana install` would install it, with the demo's tenants; makes the image of this checkout. */
export async function localInstallation(options: LocalInstallationOptions): Promise<Installation> {
  const { kind, proxy, plans, progress, signal } = options;
  const { readDeployManifests } = await import('../cli/install/deploy-manifests.ts');
  const { installObjects } = await import('../cli/install/install-objects.ts');
  const { apiAddress, serviceCidrs } = networkingOf(kind.families);
  return {
    image: await provideImage({ checkout: CHECKOUT, env: process.env, progress, signal }),
    objects: installObjects(await readDeployManifests(join(CHECKOUT, 'deploy')), {
      network: networkObject(plans, serviceCidrs),
      demo: true,
      apiServer: proxy === 'none' ? { host: apiAddress, port: API_SERVER.port } : undefined,
    }),
  };
}
