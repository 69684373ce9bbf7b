import { BadAnswerError, isGone, type ObjectList } from './client.ts';
import { asRecord, asText } from './json.ts';

/** How many objects are asked for at once; the chunk size of Kubernetes' own tools. */
export const PAGE_SIZE = 500;

/** How often a list begins again when the server forgot its snapshot between two pages. */
const MAX_RESTARTS = 3;

async function pagesOnce<T>(
  page: (continueToken: string) => Promise<unknown>,
  each: (object: unknown) => T,
): Promise<ObjectList<T>> {
  const items: T[] = [];
  let token = '';
  for (;;) {
    const list = asRecord(await page(token));
    const part = list?.['items'];
    // Go writes an empty list as null in places.
    if (list === undefined || (part !== null && !Array.isArray(part))) {
      throw new BadAnswerError('the API server answered a list request with something that is no list');
    }
    for (const item of part ?? []) items.push(each(item));
    const meta = asRecord(list['metadata']);
    const next = asText(meta?.['continue']);
    if (next === '') return { items, resourceVersion: asText(meta?.['resourceVersion']) };
    if (next === token) throw new BadAnswerError('the API server continues a list with the page that it just gave');
    token = next;
  }
}

/**
 * A whole list, page by page (KEP-365). A 410 after the first page means that the snapshot is gone: the list begins
 * again, a bounded number of times.
 *
 * @param page fetches the page after `continueToken`, '' for the first.
 * @param each gives what to keep of an object.
 */
export async function listPages<T>(
  page: (continueToken: string) => Promise<unknown>,
  each: (object: unknown) => T,
): Promise<ObjectList<T>> {
  for (let restarts = 0; ; restarts += 1) {
    try {
      return await pagesOnce(page, each);
    } catch (error) {
      if (!isGone(error) || restarts === MAX_RESTARTS) throw error;
    }
  }
}
