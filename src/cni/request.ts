import { type Result, err, ok } from '../lib/result.ts';
import { parseCniArgs } from './args.ts';
import { type CniError, cniError } from './errors.ts';
import { CNI_VERSIONS, type CniVersion, atLeast, parseVersion } from './version.ts';

/** What a runtime asks of a plugin. */
export type CniCommand = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'VERSION';

/** One interface of one container: what ADD makes and DEL takes away. */
export interface Attachment {
  readonly containerId: string;
  /** Name of the interface inside the container. */
  readonly ifname: string;
}

/** The pod a sandbox belongs to, as container runtimes tell it in CNI_ARGS. */
export interface PodName {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

interface Common {
  readonly version: CniVersion;
  /** Name of the network. */
  readonly network: string;
}

/** A CNI call whose variables and configuration are as the spec wants them. */
export type CniRequest =
  | (Common & {
      readonly command: 'ADD';
      readonly attachment: Attachment;
      readonly netns: string;
      readonly pod: PodName;
      /** The result of the plugins before ours in a chain, of any shape; undefined: ours is the first. */
      readonly previous: object | undefined;
    })
  | (Common & { readonly command: 'DEL'; readonly attachment: Attachment })
  | (Common & {
      readonly command: 'CHECK';
      readonly attachment: Attachment;
      readonly netns: string;
      /** The result of the ADD as the runtime kept it, of any shape. */
      readonly previous: object;
    })
  | (Common & { readonly command: 'GC'; readonly valid: readonly Attachment[] })
  | (Common & { readonly command: 'STATUS' })
  | { readonly command: 'VERSION'; readonly cniVersion: string };

/** A request that is refused, with the version to answer in. */
export interface Refused {
  readonly cniVersion: string;
  readonly error: CniError;
}

type Json = Readonly<Record<string, unknown>>;
type Variables = ReadonlyMap<string, string>;
type Outcome<T> = Result<T, CniError>;

// Network names and container ids: https://www.cni.dev/docs/spec/#section-1-network-configuration-format
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,252}$/;
// Linux' IFNAMSIZ is 16 with the closing NUL; dev_valid_name() refuses '/', ':' and white space.
const IFNAME = /^[^\s/:]{1,15}$/u;
/** How deep a result may be nested, which is handed on: results of the spec have 4 levels. */
const MAX_RESULT_DEPTH = 32;
const VERSION_TEXT = /^[0-9a-zA-Z.+-]{1,32}$/;

/**
 * Reads what the launcher handed over: `KEY=VALUE\0` for each variable, `\0`, then standard input. Never throws;
 * errors are those of the CNI spec (1 version, 4 variables, 6 decoding, 7 configuration).
 */
export function parseRequest(bytes: Uint8Array): Result<CniRequest, Refused> {
  const split = splitVariables(bytes);
  if (split === undefined) return refuse('', cniError('decodingFailure', 'the request has no end of its variables'));
  const { variables, rest } = split;
  const command = variables.get('CNI_COMMAND') ?? '';
  const config = parseConfig(rest);
  const said = config.ok ? config.value['cniVersion'] : undefined;
  const cniVersion = typeof said === 'string' && VERSION_TEXT.test(said) ? said : '';
  if (command === 'VERSION') return ok({ command, cniVersion });
  if (!config.ok) return refuse(cniVersion, config.error);
  const version = parseVersion(said);
  if (version === undefined) {
    return refuse(
      cniVersion,
      cniError(
        'incompatibleVersion',
        `the configuration's cniVersion ${quote(said)} is not supported`,
        `supported: ${CNI_VERSIONS.join(', ')}`,
      ),
    );
  }
  const request = parseCommand(command, version, variables, config.value);
  return request.ok ? request : refuse(version, request.error);
}

function parseCommand(command: string, version: CniVersion, variables: Variables, config: Json): Outcome<CniRequest> {
  const since = command === 'CHECK' ? '0.4.0' : command === 'GC' || command === 'STATUS' ? '1.1.0' : undefined;
  if (since !== undefined && !atLeast(version, since)) {
    return err(
      cniError('incompatibleVersion', `${command} came with CNI ${since}, the configuration is of ${version}`),
    );
  }
  const network = config['name'];
  if (typeof network !== 'string' || !NAME.test(network)) {
    return err(cniError('invalidConfiguration', `the configuration's name ${quote(network)} is no network name`));
  }
  const common = { version, network };
  switch (command) {
    case 'ADD':
      return parseAdd(common, variables, config);
    case 'DEL': {
      const attachment = parseAttachment(variables);
      return attachment.ok ? ok({ ...common, command, attachment: attachment.value }) : attachment;
    }
    case 'CHECK':
      return parseCheck(common, variables, config);
    case 'GC': {
      const valid = parseValid(config['cni.dev/valid-attachments']);
      return valid.ok ? ok({ ...common, command, valid: valid.value }) : valid;
    }
    case 'STATUS':
      return ok({ ...common, command });
    default:
      return err(cniError('invalidEnvironment', `CNI_COMMAND ${quote(command)} is no command of the CNI spec`));
  }
}

function parseAdd(common: Common, variables: Variables, config: Json): Outcome<CniRequest> {
  const attachment = parseAttachment(variables);
  if (!attachment.ok) return attachment;
  const netns = parseNetns(variables);
  if (!netns.ok) return netns;
  const args = parseCniArgs(variables.get('CNI_ARGS') ?? '');
  if (!args.ok) return err(cniError('invalidEnvironment', args.error));
  const pod = parsePod(args.value);
  if (!pod.ok) return pod;
  const previous = config['prevResult'];
  if (previous !== undefined && !isObject(previous)) {
    return err(cniError('invalidConfiguration', `prevResult must be a result of ADD, found ${quote(previous)}`));
  }
  if (!isWithin(MAX_RESULT_DEPTH, previous)) {
    return err(cniError('decodingFailure', `prevResult is nested deeper than ${MAX_RESULT_DEPTH} levels`));
  }
  return ok({ ...common, command: 'ADD', attachment: attachment.value, netns: netns.value, pod: pod.value, previous });
}

function parseCheck(common: Common, variables: Variables, config: Json): Outcome<CniRequest> {
  const attachment = parseAttachment(variables);
  if (!attachment.ok) return attachment;
  const netns = parseNetns(variables);
  if (!netns.ok) return netns;
  const previous = config['prevResult'];
  if (!isObject(previous)) {
    return err(cniError('invalidConfiguration', 'CHECK needs prevResult, the result of ADD, in the configuration'));
  }
  return ok({ ...common, command: 'CHECK', attachment: attachment.value, netns: netns.value, previous });
}

function parseAttachment(variables: Variables): Outcome<Attachment> {
  const containerId = variables.get('CNI_CONTAINERID') ?? '';
  if (!NAME.test(containerId)) {
    return err(cniError('invalidEnvironment', `CNI_CONTAINERID ${quote(containerId)} is no container id`));
  }
  const ifname = variables.get('CNI_IFNAME') ?? '';
  if (!IFNAME.test(ifname) || ifname === '.' || ifname === '..') {
    return err(cniError('invalidEnvironment', `CNI_IFNAME ${quote(ifname)} is no interface name`));
  }
  return ok({ containerId, ifname });
}

function parseNetns(variables: Variables): Outcome<string> {
  const netns = variables.get('CNI_NETNS') ?? '';
  if (netns.startsWith('/')) return ok(netns);
  return err(cniError('invalidEnvironment', `CNI_NETNS ${quote(netns)} is no absolute path of a network namespace`));
}

function parsePod(args: ReadonlyMap<string, string>): Outcome<PodName> {
  const namespace = args.get('K8S_POD_NAMESPACE') ?? '';
  const name = args.get('K8S_POD_NAME') ?? '';
  const uid = args.get('K8S_POD_UID') ?? '';
  for (const [key, value] of Object.entries({ K8S_POD_NAMESPACE: namespace, K8S_POD_NAME: name, K8S_POD_UID: uid })) {
    if (!NAME.test(value)) {
      return err(cniError('invalidEnvironment', `CNI_ARGS must name the pod, its ${key} is ${quote(value)}`));
    }
  }
  return ok({ namespace, name, uid });
}

function parseValid(json: unknown): Outcome<readonly Attachment[]> {
  const wrong = cniError(
    'invalidConfiguration',
    'GC needs cni.dev/valid-attachments, a list of {containerID, ifname}, in the configuration',
  );
  if (json === null) return ok([]); // how Go writes a list that is empty
  if (!Array.isArray(json)) return err(wrong);
  const valid: Attachment[] = [];
  for (const item of json as readonly unknown[]) {
    if (!isObject(item)) return err(wrong);
    const { containerID, ifname } = item;
    if (typeof containerID !== 'string' || typeof ifname !== 'string') return err(wrong);
    valid.push({ containerId: containerID, ifname });
  }
  return ok(valid);
}

function parseConfig(bytes: Uint8Array): Outcome<Json> {
  const text = decodeUtf8(bytes);
  if (text === undefined) return err(cniError('decodingFailure', 'the configuration on standard input is not UTF-8'));
  try {
    const json: unknown = JSON.parse(text);
    if (isObject(json)) return ok(json);
    return err(cniError('decodingFailure', 'the configuration on standard input is no JSON object'));
  } catch (error) {
    const details = error instanceof Error ? error.message : undefined;
    return err(cniError('decodingFailure', 'the configuration on standard input is no JSON', details));
  }
}

/** The variables, and what follows them; undefined when the empty entry that ends them is missing. */
function splitVariables(bytes: Uint8Array): { variables: Variables; rest: Uint8Array } | undefined {
  const variables = new Map<string, string>();
  for (let start = 0; ;) {
    const end = bytes.indexOf(0, start);
    if (end < 0) return undefined;
    if (end === start) return { variables, rest: bytes.subarray(end + 1) };
    const entry = decodeUtf8(bytes.subarray(start, end)) ?? '';
    const equals = entry.indexOf('=');
    if (equals > 0) variables.set(entry.slice(0, equals), entry.slice(equals + 1));
    start = end + 1;
  }
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function refuse(cniVersion: string, error: CniError): Result<never, Refused> {
  return err({ cniVersion, error });
}

function isObject(json: unknown): json is Json {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

/** Whether `value` has at most `levels` of objects and lists in each other. */
function isWithin(levels: number, value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return levels > 0 && Object.values(value).every((part) => isWithin(levels - 1, part));
}

/** What was found, short enough for a message; never all of a value that may be nested deeper than the stack. */
function quote(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 80));
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'that is a list' : 'that is an object';
  return String(value);
}
