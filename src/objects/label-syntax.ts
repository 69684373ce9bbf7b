/**
 * Label syntax of Kubernetes (apimachinery `IsQualifiedName`, `IsValidLabelValue`): a key is an optional DNS subdomain
 * of at most 253 characters and '/', then a name of 1 to 63; a value is empty or like such a name.
 */
const NAME = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

// As the API server words them.
const BAD_SUBDOMAIN =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const BAD_NAME_PART =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const BAD_VALUE =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const MAX_NAME = 63;
const MAX_SUBDOMAIN = 253;

/** Whether `text` is a DNS subdomain (RFC 1123) of 1 to 253 characters, as names of objects are. */
export function isSubdomain(text: string): boolean {
  return text.length <= MAX_SUBDOMAIN && SUBDOMAIN.test(text);
}

function invalid(text: string, why: string): string {
  return `Invalid value: ${JSON.stringify(text)}: ${why}`;
}

function prefixFault(prefix: string): string | undefined {
  if (prefix === '') return 'prefix part must be non-empty';
  if (prefix.length > MAX_SUBDOMAIN) return `prefix part must be no more than ${MAX_SUBDOMAIN} bytes`;
  return SUBDOMAIN.test(prefix) ? undefined : `prefix part ${BAD_SUBDOMAIN}`;
}

function namePartFault(name: string): string | undefined {
  if (name === '') return 'name part must be non-empty';
  if (name.length > MAX_NAME) return `name part must be no more than ${MAX_NAME} bytes`;
  return NAME.test(name) ? undefined : BAD_NAME_PART;
}

/** What is wrong with a label key, as the API server says it, or undefined. */
export function labelKeyFault(key: string): string | undefined {
  const slash = key.indexOf('/');
  const fault = (slash < 0 ? undefined : prefixFault(key.slice(0, slash))) ?? namePartFault(key.slice(slash + 1));
  return fault === undefined ? undefined : invalid(key, fault);
}

/** What is wrong with a label value, as the API server says it, or undefined. The empty value is a value (R38). */
export function labelValueFault(value: string): string | undefined {
  if (value === '' || NAME.test(value)) return undefined;
  return invalid(value, value.length > MAX_NAME ? `must be no more than ${MAX_NAME} bytes` : BAD_VALUE);
}
