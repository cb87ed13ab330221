import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/**
 * Whether some of a file is in memory only, so that a loss of power would take it: its extents have no place on the disk
 * yet (FIEMAP_EXTENT_DELALLOC, Documentation/filesystems/fiemap.rst of Linux). `filefrag` is of e2fsprogs, which Debian has.
 */
export async function isWrittenLater(path: string): Promise<boolean> {
  const { stdout } = await promisify(execFile)('/usr/sbin/filefrag', ['-v', path]);
  return stdout.includes('delalloc');
}

/** Whether the file system of a folder puts off writing, and says so: tmpfs and some others do not. */
export async function showsDelayedWrites(folder: string): Promise<boolean> {
  const path = join(folder, 'delayed-write');
  await writeFile(path, Buffer.alloc(2 ** 20, 1));
  try {
    return await isWrittenLater(path).catch(() => false);
  } finally {
    await rm(path);
  }
}
