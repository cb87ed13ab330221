import type { ImageSink } from '../core/ports.ts';
import type { Permissions } from '../core/replacement.ts';
import { FailureError } from '../errors.ts';
import type { Connection } from '../libvirt/connection.ts';
import { refreshPool } from '../libvirt/storage-pool.ts';
import { downloadVolume, openUpload } from '../libvirt/stream.ts';
import { createVolume, lookupVolume, type Volume, volumeXml } from '../libvirt/volume.ts';
import { makeDurable } from './make-durable.ts';

/** Which volume to copy, within its pool, and how. */
export interface VolumeCopy {
  readonly connection: Connection;
  readonly pool: string;
  readonly sourceName: string;
  readonly targetName: string;
  readonly permissions: Permissions | undefined;
  /** Stops the copy; what there is of it stays. */
  readonly signal?: AbortSignal;
  onProgress?(this: void, doneBytes: bigint): void;
}

/** The first bytes of an image, which hold its header and are written last. */
const HEAD_BYTES = 65_536n;

/** A run of zeros that is left out of the copy; each costs libvirt a look through the pool. */
const GAP_BYTES = 16 * 1024 * 1024;

/**
 * Copies a volume byte by byte, with what it stands on. The header comes last, when the rest is durable: as long as a copy
 * is not whole no image begins in it, so that no domain can start on it, and one that is there is whole.
 *
 * @throws the reason of the signal; NoSpaceError; LibvirtError. What has been copied by then stays.
 */
export async function copyVolume(copy: VolumeCopy): Promise<Volume> {
  const { connection, pool, sourceName, targetName, permissions } = copy;
  const { lengthBytes } = await lookupVolume(connection, pool, sourceName);
  if (lengthBytes === undefined) throw new FailureError(`libvirt does not tell how long volume '${sourceName}' is`);
  const description = { name: targetName, capacityBytes: lengthBytes, allocationBytes: 0n, format: 'raw', permissions };
  const { path } = await createVolume(connection, pool, volumeXml(description));
  if (lengthBytes > HEAD_BYTES) await copyRange(copy, HEAD_BYTES, lengthBytes);
  await makeDurable(path);
  await copyRange(copy, 0n, lengthBytes < HEAD_BYTES ? lengthBytes : HEAD_BYTES);
  await makeDurable(path);
  // libvirt looks for a format only when it looks through the pool.
  await refreshPool(connection, pool);
  return lookupVolume(connection, pool, targetName);
}

async function copyRange(copy: VolumeCopy, start: bigint, end: bigint): Promise<void> {
  const { connection, pool, sourceName, signal, onProgress } = copy;
  const writer = new GapWriter(copy, start);
  const range = { offset: start, length: end - start };
  try {
    for await (const chunk of downloadVolume(connection, pool, sourceName, range)) {
      signal?.throwIfAborted();
      await writer.write(chunk);
      onProgress?.(writer.position);
    }
    if (writer.position !== end)
      throw new FailureError(`volume '${sourceName}' changed its length while it was copied`);
    await writer.finish();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

/** Writes a volume from an offset on, and leaves long runs of zeros out. */
class GapWriter {
  readonly #copy: VolumeCopy;
  #sink: ImageSink | undefined;
  #written: bigint;
  #zeros = 0;

  constructor(copy: VolumeCopy, start: bigint) {
    this.#copy = copy;
    this.#written = start;
  }

  /** Up to where it has come, zeros included. */
  get position(): bigint {
    return this.#written + BigInt(this.#zeros);
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (isZero(chunk)) {
      this.#zeros += chunk.length;
      return;
    }
    await this.#closeGap();
    await this.#send(chunk);
  }

  async finish(): Promise<void> {
    await this.#sink?.finish();
  }

  async abort(): Promise<void> {
    await this.#sink?.abort();
  }

  async #closeGap(): Promise<void> {
    const zeros = this.#zeros;
    this.#zeros = 0;
    if (zeros < GAP_BYTES) {
      for (let left = zeros; left > 0; left -= ZEROS.length) await this.#send(ZEROS.subarray(0, left));
      return;
    }
    await this.#sink?.finish();
    this.#sink = undefined;
    this.#written += BigInt(zeros);
  }

  async #send(bytes: Uint8Array): Promise<void> {
    const { connection, pool, targetName } = this.#copy;
    this.#sink ??= await openUpload(connection, pool, targetName, { offset: this.#written, length: 0n });
    await this.#sink.write(bytes);
    this.#written += BigInt(bytes.length);
  }
}

const ZEROS = Buffer.alloc(1024 * 1024);

function isZero(bytes: Uint8Array): boolean {
  return bytes.length <= ZEROS.length && ZEROS.compare(bytes, 0, bytes.length, 0, bytes.length) === 0;
}
