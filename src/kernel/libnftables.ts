import { commandsText } from '../nft/command.ts';
import type { Command } from '../nft/command.ts';
import type { Nft } from '../nft/nft.ts';
import { NftError } from '../nft/nft.ts';
import { nameText } from '../nft/text.ts';
import { isKernelError } from './kernel-error.ts';
import { libnftables } from './libc.ts';
import type { Pointer } from './libc.ts';
import { withNetns } from './netns.ts';
import type { CountedElement } from './nft-counters.ts';
import { NftBatch } from './nft-batch.ts';

// nftables/libnftables.h
const OUTPUT_STATELESS = 1 << 2;
const OUTPUT_HANDLE = 1 << 3;

const RULE_LINE = /^\t\t(.+) # handle (\d+)$/gm;

/**
 * nftables in-process, through libnftables: an `nft` process for every change would cost twenty times as much. Changes
 * go to the kernel directly where they can, which costs a tenth of that.
 */
export class LibNft implements Nft {
  readonly #context: Pointer;
  readonly #netns: string | undefined;
  readonly #batch: NftBatch;
  #closed = false;

  /**
   * @param options.netns the file of the network namespace to work in, this thread's own by default.
   * @throws Error when libnftables is not there, KernelError when the namespace is not.
   */
  constructor({ netns }: { readonly netns?: string } = {}) {
    const { nft_ctx_new, nft_ctx_buffer_output, nft_ctx_buffer_error } = libnftables();
    this.#netns = netns;
    // Its socket is opened here and stays in this namespace; what it looks up in between must be there as well.
    this.#context = this.#there(() => nft_ctx_new(0));
    if (this.#context === null || nft_ctx_buffer_output(this.#context) !== 0) throw outOfMemory();
    if (nft_ctx_buffer_error(this.#context) !== 0) throw outOfMemory();
    this.#batch = NftBatch.open(netns === undefined ? {} : { netns });
  }

  run(text: string): void {
    if (text.trim() !== '') this.#command(text);
  }

  check(text: string): void {
    const { nft_ctx_set_dry_run } = libnftables();
    nft_ctx_set_dry_run(this.#context, true);
    try {
      this.run(text);
    } finally {
      nft_ctx_set_dry_run(this.#context, false);
    }
  }

  change(commands: readonly Command[]): boolean {
    if (this.#closed) throw closed();
    try {
      return this.#batch.run(commands);
    } catch (error) {
      if (!isKernelError(error)) throw error;
      throw new NftError(commandsText(commands), error.message, { cause: error });
    }
  }

  /**
   * What the kernel has counted in the elements of a set that is declared with `counter`.
   *
   * @throws KernelError: ENOENT when the table or the set is not there.
   */
  counters(table: string, set: string): readonly CountedElement[] {
    if (this.#closed) throw closed();
    return this.#batch.counters(table, set);
  }

  list(table: string): string {
    return this.#command(`list table inet ${table}`);
  }

  /**
   * The rules of a chain of the table `inet NAME` as nft(8) lists them, by their handles; none when there is no such chain.
   * libnftables reads the whole table for it: 7 ms in one of 1,000 elements, 0.1 s in one of 100,000.
   */
  ruleTexts(table: string, chain: string): ReadonlyMap<number, string> {
    const { nft_ctx_output_set_flags } = libnftables();
    nft_ctx_output_set_flags(this.#context, OUTPUT_STATELESS | OUTPUT_HANDLE);
    try {
      const lines = this.#command(`list chain inet ${nameText(table)} ${nameText(chain)}`).matchAll(RULE_LINE);
      return new Map(Array.from(lines, ([, text = '', handle]) => [Number(handle), text]));
    } catch (error) {
      if (error instanceof NftError) return new Map();
      throw error;
    } finally {
      nft_ctx_output_set_flags(this.#context, 0);
    }
  }

  /** Frees the library's memory and closes the socket; a second time does nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#batch.close();
    libnftables().nft_ctx_free(this.#context);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #command(text: string): string {
    if (this.#closed) throw closed();
    return this.#there(() => this.#commandHere(text));
  }

  #there<T>(act: () => T): T {
    return this.#netns === undefined ? act() : withNetns(this.#netns, act);
  }

  #commandHere(text: string): string {
    const { nft_run_cmd_from_buffer, nft_ctx_get_output_buffer, nft_ctx_get_error_buffer } = libnftables();
    const status = nft_run_cmd_from_buffer(this.#context, text);
    // Both are read every time: reading is what empties a buffer for the next command.
    const output = nft_ctx_get_output_buffer(this.#context);
    const said = nft_ctx_get_error_buffer(this.#context);
    if (status !== 0) throw new NftError(text, said);
    return output;
  }
}

function closed(): Error {
  return new Error('LibNft: it is closed');
}

function outOfMemory(): Error {
  return new Error('cannot make a context of libnftables: out of memory');
}
