import { createHash, type Hash } from 'node:crypto';
import type { ImageSink } from '../core/ports.ts';
import type { Digest } from '../core/record.ts';
import type { NewPermissions } from '../core/permissions.ts';
import { FailureError, IntegrityError } from '../errors.ts';
import type { Connection } from '../libvirt/connection.ts';
import { refreshPool } from '../libvirt/storage-pool.ts';
import { downloadVolume, openUpload } from '../libvirt/stream.ts';
import { createVolume, lookupVolume, type Volume, volumeXml } from '../libvirt/volume.ts';
import { makeDurable } from './make-durable.ts';

/** Which volume to copy, and how. */
export interface VolumeCopy {
  readonly connection: Connection;
  readonly pool: string;
  readonly sourceName: string;
  readonly targetName: string;
  /** By default that of the source. */
  readonly targetPool?: string;
  /** What the source must be. */
  readonly digest?: Digest | undefined;
  readonly permissions: NewPermissions | undefined;
  /** Stops the copy; what there is of it stays. */
  readonly signal?: AbortSignal;
  /** Called when the target has been made, which from then on is the copy's own. */
  onCreated?(this: void, target: Volume): void | Promise<void>;
  readonly onProgress?: ((doneBytes: bigint) => void) | undefined;
}

/** The first bytes of an image, which hold its header and are written last. */
export const COPY_HEAD_BYTES = 65_536n;

/** A run of zeros that is left out of the copy; each costs libvirt a look through the pool. */
const GAP_BYTES = 16 * 1024 * 1024;

/**
 * Copies a volume byte by byte, with what it stands on. The header comes last, when the rest is durable: as long as a copy
 * is not whole no image begins in it, so that no domain can start on it, and one that is there is whole.
 *
 * @throws the reason of the signal; IntegrityError when the source is not what it must be; NoSpaceError; LibvirtError.
 * What has been copied by then stays.
 */
export async function copyVolume(copy: VolumeCopy): Promise<Volume> {
  const { connection, pool, sourceName, targetName, targetPool = pool, permissions } = copy;
  const { lengthBytes } = await lookupVolume(connection, pool, sourceName);
  if (lengthBytes === undefined) throw new FailureError(`libvirt does not tell how long volume '${sourceName}' is`);
  const description = { name: targetName, capacityBytes: lengthBytes, allocationBytes: 0n, format: 'raw', permissions };
  const target = await createVolume(connection, targetPool, volumeXml(description));
  const { path } = target;
  await copy.onCreated?.(target);
  const [hash, headEnd] = [
    createHash(copy.digest?.algorithm ?? 'sha256'),
    lengthBytes < COPY_HEAD_BYTES ? lengthBytes : COPY_HEAD_BYTES,
  ];
  const head = [];
  for await (const chunk of sourceBytes(copy, { start: 0n, end: headEnd, hash })) head.push(chunk);
  if (lengthBytes > COPY_HEAD_BYTES)
    await writeAll(copy, COPY_HEAD_BYTES, sourceBytes(copy, { start: COPY_HEAD_BYTES, end: lengthBytes, hash }));
  assertSame(copy, hash);
  await makeDurable(path);
  await writeAll(copy, 0n, head);
  await makeDurable(path);
  // libvirt looks for a format only when it looks through the pool.
  await refreshPool(connection, targetPool);
  return lookupVolume(connection, targetPool, targetName);
}

/** @throws FailureError unless exactly the bytes of the range come. */
async function* sourceBytes(
  { connection, pool, sourceName, signal, onProgress }: VolumeCopy,
  { start, end, hash }: { readonly start: bigint; readonly end: bigint; readonly hash: Hash },
): AsyncGenerator<Uint8Array> {
  if (start === end) return;
  let position = start;
  for await (const chunk of downloadVolume(connection, pool, sourceName, { offset: start, length: end - start })) {
    signal?.throwIfAborted();
    hash.update(chunk);
    yield chunk;
    position += BigInt(chunk.length);
    onProgress?.(position);
  }
  if (position !== end) throw new FailureError(`volume '${sourceName}' changed its length while it was copied`);
}

function assertSame({ digest, sourceName }: VolumeCopy, hash: Hash): void {
  const found = hash.digest('hex');
  if (digest === undefined || found === digest.hex) return;
  throw new IntegrityError(
    `cannot copy volume '${sourceName}': expected ${digest.algorithm} ${digest.hex}, found ${found}`,
    {
      expected: digest.hex,
      found,
      hint: 'the image is not what it was when it came: bring it in anew, and look at what stands on it',
    },
  );
}

async function writeAll(
  copy: VolumeCopy,
  start: bigint,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> {
  const writer = new GapWriter(copy, start);
  try {
    for await (const chunk of chunks) await writer.write(chunk);
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
    const { connection, pool, targetName, targetPool = pool } = this.#copy;
    this.#sink ??= await openUpload(connection, targetPool, targetName, { offset: this.#written, length: 0n });
    await this.#sink.write(bytes);
    this.#written += BigInt(bytes.length);
  }
}

const ZEROS = Buffer.alloc(1024 * 1024);

function isZero(bytes: Uint8Array): boolean {
  return bytes.length <= ZEROS.length && ZEROS.compare(bytes, 0, bytes.length, 0, bytes.length) === 0;
}
