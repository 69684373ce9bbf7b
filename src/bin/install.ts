import { resolve } from 'node:path';
import { Command, Option } from 'commander';

import { readDeployManifests } from '../cli/install/deploy-manifests.ts';
import { installCommand } from '../cli/install/install.ts';
import { PULL_POLICIES, type PullPolicy } from '../cli/install/install-objects.ts';
import { HttpKubeClient } from '../kube/http-client.ts';
import { ok } from '../lib/result.ts';
import { clusterOptions } from './cluster-options.ts';
import { lookForCluster } from './cluster.ts';
import { endWithReader } from './lists.ts';
import { VERSION } from './version.ts';

const DEPLOY = resolve(import.meta.dirname, '../../deploy');

interface Options {
  readonly plan: readonly string[];
  readonly families?: string;
  readonly segmentLabel?: string;
  readonly reservedCidr: readonly string[];
  readonly mtu?: string;
  readonly masquerade?: boolean;
  readonly masqueradeExclude?: readonly string[];
  readonly apiServer?: string;
  readonly image?: string;
  readonly imagePullPolicy?: PullPolicy;
  readonly demo?: boolean;
  readonly offline?: boolean;
  readonly output: 'yaml' | 'json';
  readonly kubeconfig?: string;
  readonly name?: string;
}

const more = (value: string, before: readonly string[] | undefined): readonly string[] => [...(before ?? []), value];

/** `romana install`. */
export function command(): Command {
  return clusterOptions(new Command('install'))
    .description(
      'Prints the manifests of an installation, for kubectl apply -f -; says what room the address plans have. ' +
        'Looks at the cluster, changes nothing there. What is not given is as the cluster has it, or the default.',
    )
    .option(
      '--plan <plan>',
      'address plan, CIDR:HOST,TENANT,SEGMENT,ENDPOINT bits, once a family (10.0.0.0/8:8,4,4,8 and fd00:10::/64:16,16,16,16)',
      more,
      [],
    )
    .option('--families <list>', '4, 6 or 4,6: of which pods get addresses; without, those that all nodes have')
    .option('--segment-label <key>', "the pods' label whose value is their segment (segment)")
    .option('--reserved-cidr <cidr>', 'addresses that pods must not get, beside those found; may be repeated', more, [])
    .option('--mtu <bytes>', "of pods' interfaces; 0 for that of each node's uplink (0)")
    .option('--masquerade', 'pods reach the outside by the addresses of their nodes (the default)')
    .option('--no-masquerade', 'the outside sees the addresses of pods')
    .option('--masquerade-exclude <cidr>', 'destinations outside that see the addresses of pods; may be repeated', more)
    .option('--api-server <url>', 'https://HOST:PORT, for clusters without kube-proxy')
    .option('--image <name>', 'of agent and controller')
    .addOption(
      new Option('--image-pull-policy <policy>', 'when nodes look for a newer image').choices([...PULL_POLICIES]),
    )
    .option('--demo', "the demo's tenants, tenant-a and tenant-b, isolated")
    .option('--offline', 'do not look at any cluster')
    .addOption(new Option('-o, --output <format>', 'how to print').choices(['yaml', 'json']).default('yaml'))
    .action(async (options: Options) => {
      endWithReader();
      let client: HttpKubeClient | undefined;
      process.exitCode = await installCommand(
        {
          plans: options.plan,
          families: options.families,
          segmentLabel: options.segmentLabel,
          reservedCIDRs: options.reservedCidr,
          mtu: options.mtu,
          masquerade: options.masquerade,
          masqueradeExclude: options.masqueradeExclude,
          apiServer: options.apiServer,
          image: options.image ?? `romana:${VERSION}`,
          imagePullPolicy: options.imagePullPolicy,
          demo: options.demo ?? false,
          offline: options.offline ?? false,
          output: options.output,
        },
        {
          connect: async () => {
            const found = await lookForCluster(options);
            if (!found.ok) {
              if (options.kubeconfig !== undefined || options.name !== undefined) throw new Error(found.error);
              return found;
            }
            client = new HttpKubeClient(found.value.connection);
            return ok({ client, describe: found.value.describe });
          },
          manifests: () => readDeployManifests(DEPLOY),
          stdout: process.stdout,
          stderr: process.stderr,
        },
      );
      await client?.close();
    });
}
