import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { clusterPlans } from '../../src/addr/cluster-plans.ts';
import { formatPlan, parsePlan } from '../../src/addr/plan.ts';
import { localInstallation } from '../../src/bin/local-installation.ts';
import type { Connection } from '../../src/kube/connection.ts';
import { localClusters, LOCAL_ROOT } from '../../src/kube/credentials.ts';
import { execInPod, type ExecResult } from '../../src/kube/exec.ts';
import { findResource } from '../../src/kube/find-resource.ts';
import { HttpKubeClient } from '../../src/kube/http-client.ts';
import { unwrap } from '../../src/lib/result.ts';
import { waitFor } from '../../src/lib/wait-for.ts';
import {
  BASE_DIRECTORIES,
  type ClusterKind,
  type ClusterLayout,
  clusterLayout,
  EMBEDDED,
} from '../../src/local/cluster-layout.ts';
import { type Lock, takeLock } from '../../src/local/cluster-lock.ts';
import { recordedLayout } from '../../src/local/cluster-state.ts';
import { down } from '../../src/local/down.ts';
import { parsePodName } from '../../src/local/exec.ts';
import { conditionOf, objectsAt, textAt } from '../../src/local/kube-json.ts';
import { containerdExec, CTR_ENVIRONMENT } from '../../src/local/kubernetes/exec-in-containerd.ts';
import { lackOfInotify } from '../../src/local/kubernetes/inotify.ts';
import { type Installation, kubernetes } from '../../src/local/kubernetes/kubernetes.ts';
import { loadImage } from '../../src/local/kubernetes/load-image.ts';
import type { ProxyMode } from '../../src/local/kubernetes/networking.ts';
import { missingPrograms, programsFolder } from '../../src/local/kubernetes/programs.ts';
import type { Component } from '../../src/local/kubernetes/services.ts';
import { parseOwnKubeconfig } from '../../src/local/pki.ts';
import { identify } from '../../src/local/process-identity.ts';
import { runCommand } from '../../src/local/run-command.ts';
import { findNode } from '../../src/local/shell.ts';
import { up } from '../../src/local/up.ts';
import { PODS } from '../../src/objects/resources.ts';
import { KubeNode } from './kube-node.ts';

/** The checkout under test. */
const CHECKOUT = resolve(import.meta.dirname, '../..');

/** Where the tests find Kubernetes' programs. */
export const PROGRAMS = programsFolder(process.env);

/** Why tests on a real Kubernetes do not run here; false where they do. */
export const NO_KUBERNETES: string | false =
  process.getuid?.() !== 0
    ? 'needs root'
    : missingPrograms(PROGRAMS).length > 0
      ? `needs Kubernetes' programs in ${PROGRAMS}: sh scripts/kubernetes/build.sh ${PROGRAMS}`
      : false;

/** Why tests that use etcd's own tools do not run here; false where they do. */
export const NO_ETCD_TOOLS: string | false =
  NO_KUBERNETES !== false
    ? NO_KUBERNETES
    : ['etcdctl', 'etcdutl'].every((name) => existsSync(`${PROGRAMS}/bin/${name}`))
      ? false
      : `needs etcdctl and etcdutl in ${PROGRAMS}/bin: sh scripts/kubernetes/build.sh ${PROGRAMS}`;

/** What kind of cluster a test wants. */
export interface KubeClusterOptions {
  /** Default 1. */
  readonly minions?: number;
  /** Default iptables. */
  readonly proxy?: ProxyMode;
  /** As for `romana local up --plan`: one makes a single-stack cluster. Default both. */
  readonly plans?: readonly string[];
  /** Whether Romana is installed; default true. Without it nodes stay NotReady. */
  readonly romana?: boolean;
  /** Changes the objects of the installation before they are made. */
  readonly change?: (objects: readonly object[]) => readonly object[];
  /** Further flags of Kubernetes' components. */
  readonly flags?: Partial<Record<Component, readonly string[]>>;
}

/** How long clusters of others may be in the way, in milliseconds. */
const ROOM_MS = 1_800_000;

let made = 0;

/** A real Kubernetes of this test's own, gone with its disposal. */
export class KubeCluster implements AsyncDisposable {
  #layout: ClusterLayout;
  readonly connection: Connection;
  /** With people's credentials. */
  readonly client: HttpKubeClient;

  private constructor(layout: ClusterLayout) {
    this.#layout = layout;
    this.connection = parseOwnKubeconfig(readFileSync(layout.kubeconfig, 'utf8')).connection;
    this.client = new HttpKubeClient(this.connection);
  }

  /** Brings a cluster up, as `romana local up --kubernetes` does; what tests that were killed left goes first. */
  static async up(options: KubeClusterOptions = {}): Promise<KubeCluster> {
    const { minions = 1, proxy = 'iptables', plans: texts = [], change = (objects) => objects } = options;
    const given = new Set(texts.map((text) => unwrap(parsePlan(text)).family));
    const families = EMBEDDED.families.filter((family) => given.size === 0 || given.has(family));
    const plans = unwrap(clusterPlans(texts)).filter(({ family }) => families.includes(family));
    const kind: ClusterKind = { flavour: 'kubernetes', families };
    made += 1;
    const layout = clusterLayout(`rt-${process.pid}-${made}`, minions, BASE_DIRECTORIES, kind);
    const { signal } = new AbortController();
    const install = async (): Promise<Installation> => {
      const { image, objects } = await localInstallation({ kind, proxy, plans, progress: silent, signal });
      return { image, objects: change(objects) };
    };
    const romana = options.romana === false ? undefined : await install();
    await removeStrays();
    return await whenThereIsRoom(minions + 1, async () => {
      await up({
        layout,
        plans: plans.map(formatPlan),
        making: kubernetes({
          checkout: CHECKOUT,
          programs: PROGRAMS,
          proxy,
          flags: options.flags ?? {},
          romana: romana && (async () => romana),
        }),
        checkout: CHECKOUT,
        connect: (file) => new HttpKubeClient(parseOwnKubeconfig(readFileSync(file, 'utf8')).connection),
        owner: { uid: 0, gid: 0 },
        progress: silent,
        signal,
        readyMs: 180_000,
      });
      return new KubeCluster(layout);
    });
  }

  get layout(): ClusterLayout {
    return this.#layout;
  }

  /** Has a node join or leave: `romana local node add`, or `remove`. */
  async nodes(what: 'add' | 'remove', name: string): Promise<void> {
    await this.romana('local', 'node', what, name, '--name', this.#layout.name);
    this.#layout = recordedLayout(this.#layout.name, this.#layout.base);
  }

  get kubeconfig(): string {
    return this.layout.kubeconfig;
  }

  /** A node: `master`, `minion1`, ... */
  node(name: string): KubeNode {
    return new KubeNode(this.layout, findNode(this.layout, name));
  }

  /** Runs kubectl as administrator. @returns what it printed @throws Error with what it complained of */
  kubectl(...words: readonly string[]): Promise<string> {
    return runCommand(`${PROGRAMS}/bin/kubectl`, words, { env: this.#environment() });
  }

  /** Runs our own program on this cluster. @returns what it printed @throws Error with what it complained of */
  romana(...words: readonly string[]): Promise<string> {
    return runCommand(`${CHECKOUT}/bin/romana`, words, { env: this.#environment() });
  }

  /** Creates objects, or makes those that are there what they say (kubectl apply). */
  async apply(...objects: readonly object[]): Promise<void> {
    const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
    await runCommand(`${PROGRAMS}/bin/kubectl`, ['apply', '-f', '-'], { env: this.#environment(), input });
  }

  /** An object of any kind that the cluster serves, as JSON. @throws ApiError 404 when there is none */
  async get(apiVersion: string, kind: string, name: string, namespace?: string): Promise<unknown> {
    return this.client.get(unwrap(await findResource(this.client, apiVersion, kind)), name, namespace);
  }

  /**
   * Runs a command in a pod, through the API server.
   *
   * @param pod `NAMESPACE/POD`, or a name in `default`.
   */
  exec(pod: string, ...command: readonly string[]): Promise<ExecResult> {
    const { namespace, name } = unwrap(parsePodName(pod));
    return execInPod(this.connection, { namespace, pod: name, command });
  }

  /** Runs a command in a pod through its node's containerd, which needs no API server. @throws Error when it fails */
  async execThere(pod: string, ...command: readonly string[]): Promise<string> {
    const words = await containerdExec({
      layout: this.layout,
      pod: unwrap(parsePodName(pod)),
      container: undefined,
      command,
    });
    return runCommand('nsenter', words, { env: CTR_ENVIRONMENT });
  }

  /**
   * Waits until a pod is Ready.
   *
   * @param pod `NAMESPACE/POD`, or a name in `default`.
   * @returns it, as JSON.
   */
  async ready(pod: string, timeoutMs = 60_000): Promise<unknown> {
    const { namespace, name } = unwrap(parsePodName(pod));
    const isReady = async (): Promise<unknown> => {
      const json = await this.client.get(PODS, name, namespace);
      return conditionOf(json, 'Ready')?.status === 'True' ? json : undefined;
    };
    return waitFor(`pod ${pod} to be Ready`, isReady, { timeoutMs, everyMs: 100 });
  }

  /** A pod's addresses, IPv4 first in a dual-stack cluster. */
  async addressesOf(pod: string): Promise<readonly string[]> {
    const { namespace, name } = unwrap(parsePodName(pod));
    return objectsAt(await this.client.get(PODS, name, namespace), 'status', 'podIPs').map((ip) => textAt(ip, 'ip'));
  }

  /** Puts an image archive into the cluster's registry and all nodes. */
  loadImage(archive: string): Promise<void> {
    return loadImage(this.layout, archive);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
    await down(this.layout.name, this.layout.base);
  }

  #environment(): Record<string, string> {
    const home = this.layout.runDirectory;
    return { PATH: process.env['PATH'] ?? '', HOME: home, KUBECONFIG: this.layout.kubeconfig };
  }
}

/** Brings a cluster up by other means, when there is room for so many nodes. @returns what `bring` resolves to */
export async function whenThereIsRoom<T>(nodes: number, bring: () => Promise<T>): Promise<T> {
  const lock = await waitForRoom(nodes);
  try {
    return await bring();
  } finally {
    lock.release();
  }
}

/** Test runs beside this one share what the machine allows: they bring their clusters up one after the other. */
async function waitForRoom(nodes: number): Promise<Lock> {
  const look = (): Lock | undefined => {
    const lock = takeLock(`${BASE_DIRECTORIES.run}/.test-clusters.lock`);
    if (!lock.ok) return undefined;
    if (lackOfInotify(nodes) === undefined) return lock.value;
    lock.value.release();
    return undefined;
  };
  return waitFor('room for another cluster', look, { timeoutMs: ROOM_MS, everyMs: 2_000 });
}

/** Takes down clusters of test runs that are gone. */
async function removeStrays(): Promise<void> {
  for (const name of await localClusters(LOCAL_ROOT)) {
    const pid = Number(/^rt-(\d+)-/.exec(name)?.[1] ?? process.pid);
    if (identify(pid) === undefined) await down(name, BASE_DIRECTORIES);
  }
}

function silent(): void {
  // The test's own name says enough.
}
