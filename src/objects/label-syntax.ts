/**
 * Label syntax of Kubernetes (apimachinery `IsQualifiedName`, `IsValidLabelValue`): a key is an optional DNS subdomain
 * of at most 253 characters and '/', then a name of 1 to 63; a value is empty or like such a name.
 */
const NAME = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** Whether `text` is a DNS subdomain (RFC 1123) of 1 to 253 characters, as names of objects are. */
export function isSubdomain(text: string): boolean {
  return text.length <= 253 && SUBDOMAIN.test(text);
}

/** What is wrong with a label key, or undefined. */
export function labelKeyFault(key: string): string | undefined {
  const slash = key.indexOf('/');
  const fine = NAME.test(key.slice(slash + 1)) && (slash < 0 || isSubdomain(key.slice(0, slash)));
  return fine
    ? undefined
    : `${JSON.stringify(key)} is not a label key: [DNS subdomain/]name of 1 to 63 letters, digits, '-', '_' and '.'`;
}

/** What is wrong with a label value, or undefined. The empty value is a value (R38). */
export function labelValueFault(value: string): string | undefined {
  if (value === '' || NAME.test(value)) return undefined;
  return `${JSON.stringify(value)} is not a label value: at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit`;
}
