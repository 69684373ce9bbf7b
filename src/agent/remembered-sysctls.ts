import { readFileSync } from 'node:fs';
import { Sysctls } from '../kernel/sysctl.ts';
import { isJsonObject } from '../objects/field.ts';
import { writeFileAtomically } from './atomic-file.ts';

/** What a sysctl was, and what it was set to. */
interface Change {
  readonly was: string;
  readonly set: string;
}

/**
 * Sysctls of the host itself: what they were before the agent set them is on file, so that an uninstallation puts them
 * back. The file is on a file system that a reboot clears, as it clears sysctls.
 */
export class RememberedSysctls extends Sysctls {
  readonly #file: string;

  /** @param root as for `Sysctls`. */
  constructor(root: string, file: string) {
    super(root);
    this.#file = file;
  }

  /** Sets a sysctl, after what it was is on file. @throws Error as `Sysctls`, or when the file cannot be written */
  override write(path: string, value: string | number): void {
    const changes = this.#changes();
    const was = changes.get(path)?.was ?? this.read(path);
    if (was !== undefined) {
      changes.set(path, { was, set: String(value) });
      writeFileAtomically(this.#file, JSON.stringify(Object.fromEntries(changes)), 0o600);
    }
    super.write(path, value);
  }

  /**
   * Puts back what was there before, the last change first; what somebody else has set since stays.
   *
   * @returns the paths that were put back. A sysctl that is gone, with its interface, is passed over.
   */
  restore(): readonly string[] {
    const restored: string[] = [];
    for (const [path, { was, set }] of [...this.#changes()].toReversed()) {
      if (this.read(path) !== set) continue;
      super.write(path, was);
      restored.push(path);
    }
    return restored;
  }

  /** A file that cannot be read is of no use to anybody: nothing is known then. */
  #changes(): Map<string, Change> {
    let json: unknown;
    try {
      json = JSON.parse(readFileSync(this.#file, 'utf8'));
    } catch {
      return new Map();
    }
    return new Map(
      Object.entries(isJsonObject(json) ? json : {}).flatMap(([path, change]) => readChange(path, change)),
    );
  }
}

function readChange(path: string, change: unknown): [string, Change][] {
  if (!isJsonObject(change)) return [];
  const { was, set } = change;
  return typeof was === 'string' && typeof set === 'string' ? [[path, { was, set }]] : [];
}
