/** A moment of a run: an operation is about to be done, or was done and nobody knows it yet. */
export interface FaultPoint {
  readonly side: 'before' | 'after';
  readonly operation: string;
}

/** What happens at one point of a run. */
export interface Fault {
  /** How many points are passed before it comes. */
  readonly at: number;
  /**
   * 'crash': nothing of what follows reaches the disk or the kernel, as if the process had been killed. Else called at
   * the point; the operation fails with the error that it gives, once, without having been done or although it was.
   */
  readonly act: 'crash' | ((point: FaultPoint) => Error | undefined);
}

/**
 * Counts the operations by which a program acts on disk and kernel, and lets a fault come at one of them. Tried with
 * 0, 1, 2... until a run gets by without reaching the fault, it has come at every point that there is.
 */
export class FaultPoints {
  readonly #fault: Fault | undefined;
  #passed = 0;
  #dead = false;
  readonly #crashed = Promise.withResolvers<void>();
  /** Where the fault came, e.g. `before commit`; undefined until then. */
  place: string | undefined;

  constructor(fault?: Fault) {
    this.#fault = fault;
  }

  /** Whether the process would not exist any more. */
  get dead(): boolean {
    return this.#dead;
  }

  /** Resolves when the crash has come. */
  get crashed(): Promise<void> {
    return this.#crashed.promise;
  }

  /** `target` with a point before and after each of these operations of it. */
  watch<T extends object>(target: T, names: { readonly [K in keyof T]?: string }): T {
    return new Proxy(target, {
      get: (_, name) => {
        const value = Reflect.get(target, name, target) as unknown;
        if (typeof value !== 'function') return value;
        const operation = names[name as keyof T];
        const call = (...args: unknown[]): unknown => Reflect.apply(value, target, args) as unknown;
        return operation === undefined ? call : (...args: unknown[]) => this.run(operation, () => call(...args));
      },
    });
  }

  /** Carries out one operation, with its points. */
  run<T>(operation: string, act: () => T): T {
    this.#pass('before', operation);
    const result = act();
    if (!(result instanceof Promise)) {
      this.#pass('after', operation);
      return result;
    }
    return result.then((value: unknown) => {
      this.#pass('after', operation);
      return value;
    }) as T;
  }

  #pass(side: 'before' | 'after', operation: string): void {
    if (this.#dead) throw new Error('the process has been killed');
    const here = this.#passed;
    this.#passed += 1;
    if (this.#fault === undefined || here !== this.#fault.at) return;
    this.place = `${side} ${operation}`;
    const { act } = this.#fault;
    if (act === 'crash') {
      this.#dead = true;
      this.#crashed.resolve();
      throw new Error('the process has been killed');
    }
    const error = act({ side, operation });
    if (error !== undefined) throw error;
  }
}
