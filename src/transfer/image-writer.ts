import { createHash } from 'node:crypto';

import type { ImageSink } from '../core/ports.ts';
import type { Digest } from '../core/record.ts';

/** Some messages to libvirtd; larger slabs gain nothing. */
export const SLAB_BYTES = 1024 * 1024;

export interface ImageWriterOptions {
  readonly algorithm: Digest['algorithm'];
  /** How many of the first bytes `openSink` is shown; at most `SLAB_BYTES`. */
  readonly headBytes: number;
  readonly openSink: (head: Uint8Array) => Promise<ImageSink>;
}

/**
 * Gathers small chunks into two reused slabs: while one is sent and hashed, the other is filled, so that memory stays
 * flat and receiving overlaps sending. `finish` and `abort` end it; exactly one of them takes effect.
 */
export class ImageWriter {
  readonly #options: ImageWriterOptions;
  readonly #hash: ReturnType<typeof createHash>;
  #filling: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #spare: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #filled = 0;
  #recalled = 0;
  #sink: ImageSink | undefined;
  #sending: Promise<void> = Promise.resolve();

  constructor(options: ImageWriterOptions) {
    this.#options = options;
    this.#hash = createHash(options.algorithm);
  }

  /** How many bytes the receiver held before. */
  get recalledBytes(): bigint {
    return BigInt(this.#recalled);
  }

  /** Hashes bytes that the receiver holds already: the first ones, at least as many as the head has, before any is added. */
  recall(chunk: Uint8Array): void {
    const head = chunk.subarray(0, Math.max(0, this.#options.headBytes - this.#recalled));
    // The slab is free until the first byte is added, and by then the head has been shown.
    this.#filling.set(head, Math.min(this.#recalled, this.#options.headBytes));
    this.#hash.update(chunk);
    this.#recalled += chunk.length;
  }

  /** Takes a copy of `chunk`. Rejects with what `openSink` or an earlier `sink.write` rejected with. */
  async add(chunk: Uint8Array): Promise<void> {
    if (this.#sink === undefined && this.#recalled > 0) await this.#open();
    for (let rest = chunk; rest.length > 0;) {
      const part = rest.subarray(0, SLAB_BYTES - this.#filled);
      this.#filling.set(part, this.#filled);
      this.#filled += part.length;
      rest = rest.subarray(part.length);
      if (this.#sink === undefined && this.#filled >= this.#options.headBytes) await this.#open();
      if (this.#filled === SLAB_BYTES) await this.#flush();
    }
  }

  /** Sends what is left and resolves with the digest of all bytes, once the sink has taken every one of them. */
  async drain(): Promise<string> {
    if (this.#sink === undefined) await this.#open();
    if (this.#filled > 0) await this.#flush();
    await this.#sending;
    return this.#hash.digest('hex');
  }

  /** Lets the sink confirm the image; to be called only after `drain`, when size and digest are right. */
  async finish(): Promise<void> {
    await this.#sink?.finish();
  }

  /** Gives up. Never rejects because of an earlier failure. */
  async abort(): Promise<void> {
    await this.#sending.catch(ignore);
    await this.#sink?.abort();
  }

  async #open(): Promise<void> {
    const known = Math.max(this.#filled, this.#recalled);
    const head = this.#filling.subarray(0, Math.min(known, this.#options.headBytes));
    this.#sink = await this.#options.openSink(head);
  }

  async #flush(): Promise<void> {
    const slab = this.#filling.subarray(0, this.#filled);
    await this.#sending;
    this.#sending = this.#sink?.write(slab) ?? Promise.resolve();
    // Its failure is met at the next flush; until then it must not count as unhandled.
    this.#sending.catch(ignore);
    this.#hash.update(slab);
    [this.#filling, this.#spare] = [this.#spare, this.#filling];
    this.#filled = 0;
  }
}

function ignore(): void {}
