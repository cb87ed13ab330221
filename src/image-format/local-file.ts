import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs';
import { FailureError } from '../errors.ts';
import type { ImageReader } from './image.ts';

/** An image on this host, open for reading until it is disposed of. */
export interface LocalImage extends ImageReader, AsyncDisposable {
  readonly path: string;
}

const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/** A path on this host; bytes where the name is not UTF-8. */
type HostPath = string | Buffer;

/**
 * Opens an image on this host for reading. Every call waits for the disk: a header takes five of them, and handing each to
 * another thread would cost several times what it takes. Only regular files and block devices are opened: reading a fifo, a socket
 * or a character device could block or do something.
 *
 * @throws FailureError when the path cannot be opened or is something else.
 */
export async function openLocalImage(path: HostPath): Promise<LocalImage> {
  assertImage(
    attempt(path, 'open', () => statSync(path)),
    path,
  );
  const fd = attempt(path, 'open', () => openSync(path, FLAGS));
  try {
    // By now another file may stand at the path.
    assertImage(
      attempt(path, 'open', () => fstatSync(fd)),
      path,
    );
    return {
      path: path.toString(),
      read: async (offset, length) => attempt(path, 'read', () => readFully(fd, offset, length)),
      [Symbol.asyncDispose]: async () => closeSync(fd),
    };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function assertImage(stats: Stats, path: HostPath): void {
  if (stats.isFile() || stats.isBlockDevice()) return;
  throw new FailureError(`cannot read image '${path.toString()}': it is neither a regular file nor a block device`);
}

function readFully(fd: number, offset: bigint, length: number): Uint8Array {
  if (offset > Number.MAX_SAFE_INTEGER) return new Uint8Array();
  // Only what was read is returned, so nothing needs to be cleared.
  const buffer = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const bytesRead = readSync(fd, buffer, filled, length - filled, Number(offset) + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

function attempt<Result>(path: HostPath, act: string, action: () => Result): Result {
  try {
    return action();
  } catch (cause) {
    if (cause instanceof FailureError) throw cause;
    throw new FailureError(`cannot ${act} image '${path.toString()}'`, {
      cause,
      hint: 'check that it exists and that you may read it',
    });
  }
}
