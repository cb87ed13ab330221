import type { ImageSink } from '../core/ports.ts';
import type { Connection } from '../libvirt/connection.ts';
import { openUpload } from '../libvirt/stream.ts';

/** Bytes between two checkpoints. Each costs a few milliseconds, and libvirt a look through the pool. */
const CHECKPOINT_BYTES = 64n * 1024n * 1024n;

/** An upload into an existing volume that knows at any time which bytes are there for certain. */
export interface CheckpointedUpload {
  readonly connection: Connection;
  readonly poolName: string;
  readonly volumeName: string;
  /** Where the first byte goes, and the length of the whole image. */
  readonly offset: bigint;
  readonly sizeBytes: bigint;
  /**
   * Called whenever libvirt has confirmed that the volume holds the image's first bytes, so many of them. The next part is
   * sent meanwhile, but not ended; what this rejects with ends the upload.
   */
  onHeld(bytes: bigint): Promise<void>;
}

/**
 * Opens an upload in several parts. What was sent may still be on its way when this process or libvirtd dies; only the
 * end of a stream is a confirmation, so the stream is ended and opened anew every 64 MiB, and also when the transfer is
 * given up.
 */
export async function openCheckpointedUpload(upload: CheckpointedUpload): Promise<ImageSink> {
  const sink = new CheckpointedSink(upload);
  await sink.open();
  return sink;
}

class CheckpointedSink implements ImageSink {
  readonly #upload: CheckpointedUpload;
  #part: ImageSink | undefined;
  #heldBytes: bigint;
  #sentBytes: bigint;
  #noting: Promise<void> = Promise.resolve();

  constructor(upload: CheckpointedUpload) {
    this.#upload = upload;
    this.#heldBytes = upload.offset;
    this.#sentBytes = upload.offset;
  }

  async open(): Promise<ImageSink> {
    const { connection, poolName, volumeName, sizeBytes } = this.#upload;
    const length = sizeBytes - this.#sentBytes;
    this.#part = await openUpload(connection, poolName, volumeName, { offset: this.#sentBytes, length });
    return this.#part;
  }

  async write(chunk: Uint8Array): Promise<void> {
    const part = this.#part ?? (await this.open());
    await part.write(chunk);
    this.#sentBytes += BigInt(chunk.length);
    if (this.#sentBytes - this.#heldBytes >= CHECKPOINT_BYTES) await this.#endPart();
  }

  async finish(): Promise<void> {
    await this.#endPart();
    await this.#noting;
  }

  /** What was sent until now is worth keeping, if libvirt confirms it; if not, the part is over all the same. */
  async abort(): Promise<void> {
    await this.#endPart().catch(ignore);
    await this.#noting.catch(ignore);
  }

  async #endPart(): Promise<void> {
    const part = this.#part;
    if (part === undefined) return;
    this.#part = undefined;
    await part.finish();
    this.#heldBytes = this.#sentBytes;
    await this.#noting;
    this.#noting = this.#upload.onHeld(this.#heldBytes);
    // Its failure is met at the end of the next part; until then it must not count as unhandled.
    this.#noting.catch(ignore);
  }
}

function ignore(): void {}
