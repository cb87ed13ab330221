import { createHash } from 'node:crypto';
import type { Digest } from '../core/record.ts';
import { IntegrityError, PoolkeeperError } from '../errors.ts';
import type { Connection } from '../libvirt/connection.ts';
import { downloadVolume, openUpload } from '../libvirt/stream.ts';
import { refreshPool } from '../libvirt/storage-pool.ts';
import {
  createVolume,
  createVolumeFrom,
  lookupVolume,
  resizeVolume,
  type Volume,
  volumeXml,
} from '../libvirt/volume.ts';
import { assertNotSmaller, type BaseImage } from './base-image.ts';
import { makeNewVolume } from './new-volume.ts';
import { removeOwnVolume } from './own-volume.ts';

/** A volume to make with all that an image holds. */
export interface FullClone {
  readonly connection: Connection;
  readonly base: BaseImage;
  readonly pool: string;
  readonly name: string;
  /** As the domain will see it; by default as large as the image. */
  readonly sizeBytes: bigint | undefined;
  /** What the image's bytes must be, as far as that is known. */
  readonly digest: Digest | undefined;
  readonly signal: AbortSignal;
  onProgress(this: void, doneBytes: bigint): void;
}

/** The first bytes of an image, in which all headers and the beginning of every partition table lie. */
const HEAD_BYTES = 1024 * 1024;

/**
 * Makes a volume that needs no other one. What libvirt has flattened lies under a name that says so until it is copied; and
 * what is copied gets its first bytes last, so that no image begins in it before it is whole. So whatever is interrupted,
 * by whom, leaves nothing that looks complete.
 *
 * @throws UsageError when the size is smaller than the image; IntegrityError when the image has changed; FailureError when
 * the name is taken; LibvirtError, NoSpaceError. Then nothing is left, unless libvirtd is gone.
 */
export async function cloneFully(clone: FullClone): Promise<Volume> {
  const { connection, base, pool, name, sizeBytes } = clone;
  assertNotSmaller(base, sizeBytes);
  if (base.standsOnAnother) await copyFlattened(clone);
  else await copyVolume(clone, base.volume, clone.digest);
  await refreshPool(connection, pool);
  if (sizeBytes !== undefined && sizeBytes > base.capacityBytes)
    await resizeVolume(connection, { pool, name }, sizeBytes);
  return lookupVolume(connection, pool, name);
}

/** libvirt's own work cannot be stopped, and goes on if this process dies. */
async function copyFlattened(clone: FullClone): Promise<void> {
  const { connection, base, pool, name, signal } = clone;
  const unfinished = `${name}.unfinished`;
  const { capacityBytes, volume } = base;
  const xml = volumeXml({ name: unfinished, capacityBytes, allocationBytes: 0n, format: 'qcow2' });
  const flat = await makeNewVolume(pool, unfinished, () => createVolumeFrom(connection, pool, xml, volume));
  try {
    signal.throwIfAborted();
    await copyVolume(clone, flat, undefined);
  } finally {
    await removeOwnVolume({ connection, poolName: pool }, unfinished);
  }
}

async function copyVolume(clone: FullClone, source: Volume, digest: Digest | undefined): Promise<void> {
  const { connection, pool, name } = clone;
  const { lengthBytes = source.capacityBytes } = await lookupVolume(connection, source.pool, source.name);
  const size = { capacityBytes: lengthBytes, allocationBytes: 0n };
  const xml = volumeXml({ name, ...size, format: 'raw' });
  await makeNewVolume(pool, name, () => createVolume(connection, pool, xml));
  try {
    const { head, found } = await copyBody(clone, { source, lengthBytes, algorithm: digest?.algorithm ?? 'sha256' });
    if (digest !== undefined && found !== digest.hex) throw changed(source, digest, found);
    await write(clone, 0n, [head]);
  } catch (error) {
    await removeOwnVolume({ connection, poolName: pool }, name).catch(ignoreKnown);
    throw error;
  }
}

/** Copies everything behind the head, and reads the head. */
async function copyBody(
  clone: FullClone,
  { source, lengthBytes, algorithm }: { source: Volume; lengthBytes: bigint; algorithm: Digest['algorithm'] },
): Promise<{ readonly head: Uint8Array; readonly found: string }> {
  const { connection, signal, onProgress } = clone;
  const hash = createHash(algorithm);
  const head: Uint8Array[] = [];
  let done = 0;
  async function* body(): AsyncGenerator<Uint8Array> {
    for await (const chunk of downloadVolume(connection, source.pool, source.name)) {
      signal.throwIfAborted();
      hash.update(chunk);
      const headBytes = Math.max(0, Math.min(HEAD_BYTES - done, chunk.length));
      done += chunk.length;
      if (headBytes > 0) head.push(chunk.subarray(0, headBytes));
      if (headBytes < chunk.length) yield chunk.subarray(headBytes);
      onProgress(BigInt(done));
    }
  }
  await write(clone, BigInt(HEAD_BYTES), body());
  if (BigInt(done) !== lengthBytes) throw cutShort(source, lengthBytes, done);
  return { head: Buffer.concat(head), found: hash.digest('hex') };
}

async function write(
  { connection, pool, name }: FullClone,
  offset: bigint,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> {
  const sink = await openUpload(connection, pool, name, { offset, length: 0n });
  try {
    for await (const chunk of chunks) await sink.write(chunk);
    await sink.finish();
  } catch (error) {
    await sink.abort();
    throw error;
  }
}

function changed({ name }: Volume, { algorithm, hex }: Digest, found: string): IntegrityError {
  return new IntegrityError(`cannot clone volume '${name}': expected ${algorithm} ${hex}, found ${found}`, {
    expected: hex,
    found,
    hint: 'the image is not what it was when it came: bring it in anew, and look at what stands on it',
  });
}

function cutShort({ name }: Volume, lengthBytes: bigint, done: number): IntegrityError {
  return new IntegrityError(`cannot clone volume '${name}': ${done} of ${lengthBytes} bytes came`, {
    expected: String(lengthBytes),
    found: String(done),
    hint: 'run again, when nothing else writes to it',
  });
}

/** What failed before is the news. */
function ignoreKnown(error: unknown): void {
  if (!(error instanceof PoolkeeperError)) throw error;
}
