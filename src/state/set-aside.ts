import { constants } from 'node:fs';
import { copyFile, lstat, mkdir, mkdtemp, readlink, rename, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { FailureError, IntegrityError } from '../errors.ts';
import { errnoCode } from '../util/errno.ts';
import { removeFileDurably, syncPath } from './atomic-file.ts';
import { fileError } from './file-error.ts';

const MOVE_AWAY = { hint: 'poolkeeper follows no symbolic link there: move it away' };

/** Largest file that is set aside. Files that poolkeeper writes about one image are far smaller. */
const MAX_BYTES = 64 * 1024;

/**
 * Moves a file that cannot be used out of the way, into a folder of its own, and returns where it went. For example
 * `records/x.json` becomes `records/set-aside/2026-11-20T19:38:00.000Z-k3JdQx/x.json`. Nothing is ever deleted.
 *
 * @param asideRoot the folder that collects such files; `set-aside` beside the file by default
 * @param maxBytes larger files are not moved: a volume may lie there if the directory is not what it should be
 * @throws NoSpaceError, FailureError when it is a large file, IntegrityError when the folder is none; the file is then still where it was.
 */
export async function setAside(
  path: string,
  asideRoot: string = join(dirname(path), 'set-aside'),
  maxBytes: number = MAX_BYTES,
): Promise<string> {
  try {
    await assertSmallFile(path, maxBytes);
    await mkdir(asideRoot, { recursive: true, mode: 0o750 });
    if (!(await lstat(asideRoot)).isDirectory())
      throw new IntegrityError(`'${asideRoot}' is not a directory`, MOVE_AWAY);
    const dir = await mkdtemp(join(asideRoot, `${new Date().toISOString()}-`));
    const target = join(dir, basename(path));
    await move(path, target);
    await syncPath(dir);
    await syncPath(asideRoot);
    await syncPath(dirname(path));
    return target;
  } catch (cause) {
    throw fileError(`cannot set '${path}' aside`, cause);
  }
}

async function assertSmallFile(path: string, maxBytes: number): Promise<void> {
  const status = await lstat(path);
  if (!status.isFile() || status.size <= maxBytes) return;
  throw new FailureError(`cannot set '${path}' aside: it has ${status.size} bytes, and may be an image`, {
    hint: 'move it away by hand, if it is not needed there',
  });
}

async function move(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (cause) {
    if (errnoCode(cause) !== 'EXDEV') throw cause;
    await moveAcrossFileSystems(from, to);
  }
}

/** Two mounts of one file system are as good as two file systems, and a service has mounts of its own. */
async function moveAcrossFileSystems(from: string, to: string): Promise<void> {
  const status = await lstat(from);
  if (status.isSymbolicLink()) {
    // The link itself, whatever it leads to.
    await symlink(await readlink(from), to);
    await syncPath(dirname(to));
    await removeFileDurably(from);
    return;
  }
  if (!status.isFile()) {
    throw new FailureError(
      `cannot set '${from}' aside: it is not a regular file and '${to}' is on another file system`,
      {
        hint: 'move it away by hand',
      },
    );
  }
  await copyFile(from, to, constants.COPYFILE_EXCL);
  await syncPath(to);
  await removeFileDurably(from);
}
