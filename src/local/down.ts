import { bringDown, isRecorded } from './bring-down.ts';
import type { BaseDirectories } from './cluster-layout.ts';
import { recordedLayout } from './cluster-state.ts';

/** Takes a cluster down, whatever is left of it. @returns false when there was none. */
export async function down(name: string, base: BaseDirectories): Promise<boolean> {
  const layout = recordedLayout(name, base);
  if (!isRecorded(layout)) return false;
  await bringDown(layout);
  return true;
}
