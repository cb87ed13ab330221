import { randomUUID } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { IntegrityError } from '../errors.ts';
import { errnoCode } from '../util/errno.ts';
import { fileError } from './file-error.ts';
import { listDirectory } from './listing.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

const TEMPORARY_NAME = /^\.[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.tmp$/;

export interface AtomicWriteOptions {
  /** Permission bits; the umask does not apply. */
  readonly mode: number;
  /** Group of the file. Kept as the system gives it where the process may not change it. */
  readonly gid?: number;
  /** Where the temporary file lies, on the same file system; beside the file by default. */
  readonly stagingDir?: string;
}

/** The content of a file and when it was last written. */
export interface BoundedFile {
  readonly bytes: Buffer;
  readonly mtimeMs: number;
}

/**
 * Writes a file so that it holds the old bytes or the new ones at any instant, and the new ones for good once the
 * promise resolves. A symbolic link at `path` is replaced, not followed.
 *
 * @throws NoSpaceError, FailureError; the old file is then untouched, unless only the last sync failed.
 */
export async function writeFileAtomic(path: string, bytes: Uint8Array, options: AtomicWriteOptions): Promise<void> {
  const temporary = join(options.stagingDir ?? dirname(path), `.${randomUUID()}.tmp`);
  try {
    await writeNewFile(temporary, bytes, options);
    // Bytes first, then the name, then the directory: a crash between any two leaves the old file whole.
    await rename(temporary, path);
    await syncPath(dirname(path));
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw fileError(`cannot write '${path}'`, cause);
  }
}

/** Removes a file for good; one that is not there is already removed. A symbolic link is removed, not followed. */
export async function removeFileDurably(path: string): Promise<void> {
  try {
    await rm(path, { force: true });
    await syncPath(dirname(path));
  } catch (cause) {
    if (errnoCode(cause) !== 'ENOENT') throw fileError(`cannot remove '${path}'`, cause);
  }
}

/**
 * Removes what killed processes left of unfinished atomic writes in a directory. Only for the holder of the lock: the
 * temporary file of a living writer would be taken too.
 */
export async function removeTemporaryFiles(dir: string): Promise<void> {
  for (const entry of await listDirectory(dir)) {
    if (!entry.isDirectory() && TEMPORARY_NAME.test(entry.name)) await removeFileDurably(join(dir, entry.name));
  }
}

/**
 * Reads a whole regular file of at most `maxBytes`; `undefined` when there is none. Never follows a symbolic link and
 * never waits for a fifo. Of a file that others append to, it reads what was there at the beginning.
 *
 * @throws IntegrityError for anything that is not a regular file or is larger; FailureError when it cannot be read.
 */
export async function readFileBounded(
  path: string,
  maxBytes: number,
  { mayGrow = false }: { readonly mayGrow?: boolean } = {},
): Promise<BoundedFile | undefined> {
  try {
    // Synchronous: asking the thread pool five times takes ten times as long as reading, and there are thousands of files.
    const fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      const { bytes, size, mtimeMs } = readDescriptor(fd, path, maxBytes);
      if (bytes.length > size && !mayGrow) throw new IntegrityError(`cannot read '${path}': it grew while it was read`);
      return { bytes: bytes.subarray(0, size), mtimeMs };
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    if (errnoCode(cause) === 'ENOENT') return undefined;
    throw fileError(`cannot read '${path}'`, cause);
  }
}

/** Makes durable what stands at a path: the bytes of a file or the names in a directory. */
export async function syncPath(path: string): Promise<void> {
  const handle = await open(path, O_RDONLY | O_NOFOLLOW);
  try {
    await handle.sync();
  } catch (cause) {
    // Some file systems cannot sync a directory and say so with EINVAL; they give no better promise.
    if (errnoCode(cause) !== 'EINVAL') throw cause;
  } finally {
    await handle.close();
  }
}

async function writeNewFile(path: string, bytes: Uint8Array, { mode, gid }: AtomicWriteOptions): Promise<void> {
  const handle = await open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    await handle.writeFile(bytes);
    if (gid !== undefined) await changeGroup(handle, gid);
    await handle.chmod(mode);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function changeGroup(handle: FileHandle, gid: number): Promise<void> {
  try {
    await handle.chown(-1, gid);
  } catch (cause) {
    if (errnoCode(cause) !== 'EPERM') throw cause;
  }
}

function readDescriptor(fd: number, path: string, maxBytes: number): BoundedFile & { readonly size: number } {
  const stat = fstatSync(fd);
  if (!stat.isFile()) throw new IntegrityError(`cannot read '${path}': it is not a regular file`);
  const { size, mtimeMs } = stat;
  if (size > maxBytes) {
    throw new IntegrityError(`cannot read '${path}': it is too large`, {
      expected: `at most ${maxBytes} bytes`,
      found: `${size} bytes`,
    });
  }
  // One byte more than promised: a file that grows meanwhile must not pass as whole.
  const buffer = Buffer.alloc(size + 1);
  let length = 0;
  for (;;) {
    const bytesRead = readSync(fd, buffer, length, buffer.length - length, null);
    length += bytesRead;
    if (bytesRead === 0 || length === buffer.length) break;
  }
  return { bytes: buffer.subarray(0, length), size, mtimeMs };
}
