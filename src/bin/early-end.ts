/** Exit status after a signal: 128 and its number, as shells have it. */
const STATUS_OF_SIGNAL = [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const;

/** How a subcommand that has something to clean up learns that it is to end. */
export interface EarlyEnd {
  /** Aborted by the first signal; its reason is an Error that says which. */
  readonly signal: AbortSignal;
  /** The exit status that the signal stands for; 1 while there was none. */
  status(): number;
}

/** Turns signals into the end of what is done. The second one ends the process at once, clean-up or not. */
export function endBySignal(): EarlyEnd {
  const end = new AbortController();
  let status = 1;
  for (const [name, code] of STATUS_OF_SIGNAL) {
    process.once(name, () => {
      status = code;
      end.abort(new Error(`ended early by ${name}; what it had made is removed`));
    });
  }
  return { signal: end.signal, status: () => status };
}
