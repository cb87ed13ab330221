import { createHash } from 'node:crypto';
import type { Digest } from '../core/record.ts';
import { IntegrityError } from '../errors.ts';
import { COMPRESSION_HEAD_BYTES, detectCompression } from './compression.ts';
import type { ImageSource } from './image-source.ts';
import { boundSwelling, unpack } from './unpack.ts';

/** How an image is taken in. */
export interface IntakeOptions {
  /** What the bytes must be, as they come. */
  readonly digest: Digest | undefined;
  /** The room that there is for the image; `undefined`: not known. */
  readonly roomBytes: bigint | undefined;
  readonly signal: AbortSignal;
  /** Called with how many bytes have come. */
  onProgress(this: void, bytes: bigint): void;
}

/** An image on its way in, unpacked. */
export interface Intake {
  /** Of the image itself; `undefined` when it is not known before the end. */
  readonly sizeBytes: bigint | undefined;
  readonly bytes: AsyncIterable<Uint8Array>;
  /**
   * What came, to be asked for after the last byte.
   *
   * @throws IntegrityError when it is not what it must be.
   */
  arrived(): Arrived;
  /** Ends what works on it, whether or not all bytes were read; to be called once the first of them was. */
  close(): Promise<void>;
}

/** What came, before it was unpacked. */
export interface Arrived {
  readonly sizeBytes: bigint;
  readonly digest: Digest;
}

/** Hashes what comes from a source, and unpacks it when its first bytes say that it is packed. */
export async function takeIn(source: ImageSource, options: IntakeOptions): Promise<Intake> {
  const counter = new Counter(options);
  const { head, bytes: whole } = await lookAhead(counter.count(source.bytes), COMPRESSION_HEAD_BYTES);
  const compression = detectCompression(head);
  const arrived = (): Arrived => counter.arrived(source.address);
  if (compression === undefined) return { sizeBytes: source.sizeBytes, bytes: whole, arrived, close: () => end(whole) };
  const { roomBytes } = options;
  const bytes = boundSwelling(unpack(compression, whole), { packedBytes: () => counter.bytes, roomBytes });
  return { sizeBytes: undefined, bytes, arrived, close: () => end(bytes) };
}

async function end(bytes: AsyncGenerator<Uint8Array, void, undefined>): Promise<void> {
  await bytes.return();
}

class Counter {
  readonly #options: IntakeOptions;
  readonly #hash: ReturnType<typeof createHash>;
  bytes = 0n;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#hash = createHash(options.digest?.algorithm ?? 'sha256');
  }

  async *count(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const { signal, onProgress } = this.#options;
    for await (const chunk of source) {
      signal.throwIfAborted();
      this.#hash.update(chunk);
      this.bytes += BigInt(chunk.length);
      yield chunk;
      onProgress(this.bytes);
    }
  }

  arrived(address: string): Arrived {
    const { digest: expected } = this.#options;
    const found = { algorithm: expected?.algorithm ?? 'sha256', hex: this.#hash.digest('hex') };
    if (expected === undefined || expected.hex === found.hex) return { sizeBytes: this.bytes, digest: found };
    throw new IntegrityError(
      `cannot import ${address}: expected ${expected.algorithm} ${expected.hex}, found ${found.hex}`,
      {
        expected: expected.hex,
        found: found.hex,
        hint: 'it is another file than the checksum was made of: fetch it again',
      },
    );
  }
}

/** The first bytes, and all bytes. */
interface Beginning {
  /** As many bytes as were asked for or more; fewer only where there are no more. */
  readonly head: Uint8Array;
  readonly bytes: AsyncGenerator<Uint8Array, void, undefined>;
}

/** Reads so many bytes ahead. */
export async function lookAhead(source: AsyncIterable<Uint8Array>, headBytes: number): Promise<Beginning> {
  const chunks = source[Symbol.asyncIterator]();
  const head: Uint8Array[] = [];
  for (let bytes = 0; bytes < headBytes;) {
    const next = await chunks.next();
    if (next.done === true) break;
    head.push(next.value);
    bytes += next.value.length;
  }
  return { head: Buffer.concat(head), bytes: chain(head, { [Symbol.asyncIterator]: () => chunks }) };
}

async function* chain(
  head: readonly Uint8Array[],
  rest: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield* head;
  yield* rest;
}
