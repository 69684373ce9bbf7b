/** So many different sets of labels are remembered; pods of one owner are listed one after the other. */
const MOST = 4_000;

const remembered = new Map<string, ReadonlyMap<string, string>>();

/**
 * Labels that equal these: the same object for most of the objects that have the same ones, such as the pods of one
 * Deployment. A map of its own for each of 100,000 pods would be 50 MiB.
 */
export function sharedLabels(labels: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const key = JSON.stringify([...labels]);
  const known = remembered.get(key);
  if (known !== undefined) return known;
  if (remembered.size >= MOST) remembered.clear();
  remembered.set(key, labels);
  return labels;
}
