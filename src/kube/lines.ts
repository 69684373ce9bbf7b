import { BadAnswerError } from './client.ts';

const NEWLINE = 0x0a;

/**
 * The lines of a byte stream as text, without their ends. What follows the last newline is dropped: it is half a line
 * of a stream that was cut.
 *
 * @param maxBytes how long a line may be at most, in bytes.
 * @throws BadAnswerError when a line is longer.
 */
export async function* lines(stream: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Buffer> {
  let parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start);
      const part = chunk.subarray(start, end === -1 ? undefined : end);
      parts.push(part);
      length += part.length;
      if (length > maxBytes) throw new BadAnswerError(`a line of the stream is longer than ${maxBytes} bytes`);
      if (end === -1) break;
      yield Buffer.concat(parts, length);
      parts = [];
      length = 0;
      start = end + 1;
    }
  }
}
