import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { isJsonObject, type JsonObject } from '../../objects/field.ts';
import { CniCallError, type CallPlugin, findPlugin } from '../../lib/cni-plugin.ts';
import {
  type NetworkList,
  parseNetworkConfig,
  pickConfigFile,
  requestConfig,
  resultAddresses,
  versionAtLeast,
} from './network-config.ts';

/** One interface of one sandbox, as the runtime names it to plugins. */
export interface Attachment {
  readonly containerId: string;
  /** Path of the network namespace; '' when it is gone. */
  readonly netns: string;
  readonly ifname: string;
  /** CNI_ARGS, in order. */
  readonly args: readonly (readonly [string, string])[];
  /**
   * What the pod asks for, by name of the capability (https://www.cni.dev/docs/conventions/): each plugin is told those
   * that its configuration names. DEL and CHECK have what ADD had.
   */
  readonly capabilities?: JsonObject;
}

/** Where the runner finds things. */
export interface CniRunnerOptions {
  /** `/etc/cni/net.d` */
  readonly configDirectory: string;
  /** CNI_PATH. */
  readonly pluginDirectories: readonly string[];
  /** Results are kept in `results` below it, as libcni does. */
  readonly cacheDirectory: string;
  readonly call: CallPlugin;
}

/** No network is configured (yet). */
export class NoNetworkError extends Error {
  constructor(directory: string) {
    super(`cni plugin not initialized: no network config found in ${directory}`);
    this.name = 'NoNetworkError';
  }
}

/** What is kept of an attachment until its DEL succeeded. */
interface CachedResult {
  readonly networkName: string;
  readonly attachment: Attachment;
  readonly list: NetworkList;
  readonly result: JsonObject;
}

/**
 * Calls CNI plugins exactly as containerd does through libcni (CNI spec 1.1): the first configuration of the
 * directory, plugins in order for ADD, each with the result before it, in reverse order for DEL, with ADD's result.
 */
export class CniRunner {
  readonly #options: CniRunnerOptions;

  constructor(options: CniRunnerOptions) {
    this.#options = options;
  }

  /** Attaches the sandbox and returns its addresses. After a failure DEL is owed all the same. */
  async add(attachment: Attachment): Promise<readonly string[]> {
    const list = this.network();
    const { capabilities } = attachment;
    let result: JsonObject | undefined;
    for (const plugin of list.plugins) {
      const config = requestConfig(list, plugin, { prevResult: result, capabilities });
      result = await this.#call('ADD', plugin.type, config, attachment);
      if (result === undefined) throw new CniCallError(`plugin ${plugin.type} printed no result of ADD`, 6);
    }
    const final = result ?? {};
    this.#remember({ networkName: list.name, attachment, list, result: final });
    return resultAddresses(final, attachment.ifname);
  }

  /** Detaches the sandbox; succeeds as often as it is called. Throws when a plugin fails: repeat it later. */
  async del(attachment: Attachment): Promise<void> {
    const cached = this.#recall(attachment);
    const list = cached?.list ?? this.#networkIfAny();
    if (list === undefined) return; // Nothing can have been added without a network.
    const prevResult = versionAtLeast(list.cniVersion, '0.4.0') ? cached?.result : undefined;
    const { capabilities } = cached?.attachment ?? attachment;
    for (const plugin of list.plugins.toReversed()) {
      await this.#call('DEL', plugin.type, requestConfig(list, plugin, { prevResult, capabilities }), attachment);
    }
    this.#forget(attachment);
  }

  /** Asks the plugins whether the attachment is as ADD made it; versions before 0.4.0 can't say. */
  async check(attachment: Attachment): Promise<void> {
    const cached = this.#recall(attachment);
    if (cached === undefined) throw new CniCallError(`no result of ADD is known for ${attachment.containerId}`, 3);
    const { list, result: prevResult } = cached;
    const { capabilities } = cached.attachment;
    if (list.disableCheck || !versionAtLeast(list.cniVersion, '0.4.0')) return;
    for (const plugin of list.plugins) {
      await this.#call('CHECK', plugin.type, requestConfig(list, plugin, { prevResult, capabilities }), attachment);
    }
  }

  /** Asks the plugins whether they can serve ADD; versions before 1.1.0 can't say and count as able. */
  async status(): Promise<void> {
    const list = this.network();
    if (!versionAtLeast(list.cniVersion, '1.1.0')) return;
    for (const plugin of list.plugins) await this.#call('STATUS', plugin.type, requestConfig(list, plugin, {}));
  }

  /**
   * Detaches what is cached of this network and not in `valid`, then lets the plugins collect theirs. All of it is
   * tried. @throws AggregateError of what failed.
   */
  async gc(valid: readonly Attachment[]): Promise<void> {
    const list = this.network();
    if (list.disableGC) return;
    const failures: unknown[] = [];
    const keep = (error: unknown): void => void failures.push(error);
    const keys = new Set(valid.map(keyOf));
    for (const { attachment, networkName } of this.#cached()) {
      if (networkName === list.name && !keys.has(keyOf(attachment))) await this.del(attachment).catch(keep);
    }
    const attachments = valid.map(({ containerId, ifname }) => ({ containerID: containerId, ifname }));
    for (const plugin of versionAtLeast(list.cniVersion, '1.1.0') ? list.plugins : []) {
      const config = requestConfig(list, plugin, { 'cni.dev/valid-attachments': attachments });
      await this.#call('GC', plugin.type, config).catch(keep);
    }
    if (failures.length > 0) throw new AggregateError(failures, `GC of network ${list.name} failed in part`);
  }

  /** The network that pods are attached to now. @throws NoNetworkError when there is none, Error when it is unreadable. */
  network(): NetworkList {
    const { configDirectory } = this.#options;
    const file = pickConfigFile(namesIn(configDirectory));
    if (file === undefined) throw new NoNetworkError(configDirectory);
    const parsed = parseNetworkConfig(file, readFileSync(`${configDirectory}/${file}`, 'utf8'));
    if (!parsed.ok) throw new Error(parsed.error);
    return parsed.value;
  }

  #networkIfAny(): NetworkList | undefined {
    try {
      return this.network();
    } catch (error) {
      if (error instanceof NoNetworkError) return undefined;
      throw error;
    }
  }

  async #call(
    command: string,
    type: string,
    config: JsonObject,
    attachment?: Attachment,
  ): Promise<JsonObject | undefined> {
    const { pluginDirectories, call } = this.#options;
    const env: Record<string, string> = { CNI_COMMAND: command, CNI_PATH: pluginDirectories.join(':') };
    if (attachment !== undefined) {
      env['CNI_CONTAINERID'] = attachment.containerId;
      env['CNI_NETNS'] = attachment.netns;
      env['CNI_IFNAME'] = attachment.ifname;
      env['CNI_ARGS'] = attachment.args.map(([key, value]) => `${key}=${value}`).join(';');
    }
    return call({ path: findPlugin(type, pluginDirectories), env, config });
  }

  #remember(cached: CachedResult): void {
    const directory = `${this.#options.cacheDirectory}/results`;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const file = this.#file(cached.attachment);
    writeFileSync(`${file}.new`, JSON.stringify(cached), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }

  #recall(attachment: Attachment): CachedResult | undefined {
    return readCached(this.#file(attachment));
  }

  #forget(attachment: Attachment): void {
    rmSync(this.#file(attachment), { force: true });
  }

  #cached(): CachedResult[] {
    const directory = `${this.#options.cacheDirectory}/results`;
    return namesIn(directory).flatMap((name) => readCached(`${directory}/${name}`) ?? []);
  }

  #file(attachment: Attachment): string {
    return `${this.#options.cacheDirectory}/results/${attachment.containerId}-${attachment.ifname}`;
  }
}

function keyOf(attachment: Pick<Attachment, 'containerId' | 'ifname'>): string {
  return `${attachment.containerId}/${attachment.ifname}`;
}

function readCached(file: string): CachedResult | undefined {
  try {
    const json: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return isJsonObject(json) ? (json as unknown as CachedResult) : undefined;
  } catch {
    return undefined; // never added, or torn by a crash: DEL does without
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
