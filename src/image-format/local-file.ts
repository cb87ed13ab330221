import type { BigIntStats } from 'node:fs';
import { constants, type FileHandle, open, stat } from 'node:fs/promises';
import { FailureError } from '../errors.ts';
import type { ImageReader } from './image.ts';

/** An image on this host, open for reading until it is disposed of. */
export interface LocalImage extends ImageReader, AsyncDisposable {
  readonly path: string;
  /** Of the file that was opened, links followed. */
  readonly stat: BigIntStats;
}

const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/** A path on this host; bytes where the name is not UTF-8. */
type HostPath = string | Buffer;

/**
 * Opens an image on this host for reading. Only regular files and block devices are opened: reading a fifo, a socket
 * or a character device could block or do something.
 *
 * @throws FailureError when the path cannot be opened or is something else.
 */
export async function openLocalImage(path: HostPath): Promise<LocalImage> {
  assertImage(await attempt(path, 'open', () => stat(path, { bigint: true })), path);
  const handle = await attempt(path, 'open', () => open(path, FLAGS));
  try {
    const opened = assertImage(await attempt(path, 'open', () => handle.stat({ bigint: true })), path);
    return {
      path: path.toString(),
      stat: opened,
      read: (offset, length) => attempt(path, 'read', () => readFully(handle, offset, length)),
      [Symbol.asyncDispose]: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function assertImage(stats: BigIntStats, path: HostPath): BigIntStats {
  if (stats.isFile() || stats.isBlockDevice()) return stats;
  throw new FailureError(`cannot read image '${path.toString()}': it is neither a regular file nor a block device`);
}

async function readFully(handle: FileHandle, offset: bigint, length: number): Promise<Uint8Array> {
  if (offset > Number.MAX_SAFE_INTEGER) return new Uint8Array();
  // Only what was read is returned, so nothing needs to be cleared.
  const buffer = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(buffer, filled, length - filled, Number(offset) + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

async function attempt<Result>(path: HostPath, act: string, action: () => Promise<Result>): Promise<Result> {
  try {
    return await action();
  } catch (cause) {
    if (cause instanceof FailureError) throw cause;
    throw new FailureError(`cannot ${act} image '${path.toString()}'`, {
      cause,
      hint: 'check that it exists and that you may read it',
    });
  }
}
