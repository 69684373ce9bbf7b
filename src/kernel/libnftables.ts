import type { Nft } from '../nft/nft.ts';
import { NftError } from '../nft/nft.ts';
import { libnftables } from './libc.ts';
import type { Pointer } from './libc.ts';
import { withNetns } from './netns.ts';

/** nftables in-process, through libnftables: an `nft` process for every change would cost twenty times as much. */
export class LibNft implements Nft {
  readonly #context: Pointer;
  readonly #netns: string | undefined;
  #closed = false;

  /**
   * @param options.netns the file of the network namespace to work in, this thread's own by default.
   * @throws Error when libnftables is not there.
   */
  constructor({ netns }: { readonly netns?: string } = {}) {
    const { nft_ctx_new, nft_ctx_buffer_output, nft_ctx_buffer_error } = libnftables();
    this.#netns = netns;
    // Its socket is opened here and stays in this namespace; what it looks up in between must be there as well.
    this.#context = this.#there(() => nft_ctx_new(0));
    if (this.#context === null || nft_ctx_buffer_output(this.#context) !== 0) throw outOfMemory();
    if (nft_ctx_buffer_error(this.#context) !== 0) throw outOfMemory();
  }

  run(text: string): void {
    if (text.trim() !== '') this.#command(text);
  }

  list(table: string): string {
    return this.#command(`list table inet ${table}`);
  }

  /** Frees the library's memory; a second time does nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    libnftables().nft_ctx_free(this.#context);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #command(text: string): string {
    if (this.#closed) throw new Error('LibNft: it is closed');
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

function outOfMemory(): Error {
  return new Error('cannot make a context of libnftables: out of memory');
}
