import { lstatSync, type Stats } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { IntegrityError } from '../errors.ts';
import { syncPath } from './atomic-file.ts';
import { errnoCode, fileError } from './file-error.ts';

export interface PrivateDirOptions {
  /** The effective user of this process. */
  readonly uid: number;
  /** Permission bits of a directory that has to be made; the umask applies. */
  readonly mode?: number;
}

/**
 * Makes sure that a directory exists in which nobody else can plant files. Missing parents are made too, but existing
 * ones are not checked: go from the top.
 *
 * @throws IntegrityError for a symbolic link, a directory of another user (root is trusted) or one that others may
 * write to; NoSpaceError, FailureError when it cannot be made.
 */
export async function ensurePrivateDir(path: string, { uid, mode = 0o750 }: PrivateDirOptions): Promise<void> {
  const dir = resolve(path);
  try {
    // Synchronous: asking the thread pool takes ten times as long as looking, and nearly always all of them exist.
    const found = lstatSync(dir, { throwIfNoEntry: false }) ?? (await makeDir(dir, mode));
    assertPrivate(dir, found, uid);
  } catch (cause) {
    throw fileError(`cannot create directory '${dir}'`, cause);
  }
}

/** What stands there in the end may be somebody else's work of the same moment. */
async function makeDir(dir: string, mode: number): Promise<Stats> {
  try {
    await mkdir(dirname(dir), { recursive: true });
    await mkdir(dir, { mode });
    await syncPath(dirname(dir));
  } catch (cause) {
    if (errnoCode(cause) !== 'EEXIST') throw cause;
  }
  return lstatSync(dir);
}

function assertPrivate(dir: string, stat: Stats, uid: number): void {
  if (!stat.isDirectory()) {
    throw new IntegrityError(`cannot use '${dir}': it is not a directory`, {
      hint: 'poolkeeper follows no symbolic link there: move it away or configure another directory',
    });
  }
  if (stat.uid !== uid && stat.uid !== 0) {
    throw new IntegrityError(`cannot use directory '${dir}': it belongs to another user`, {
      expected: `uid ${uid} or 0`,
      found: `uid ${stat.uid}`,
      hint: `look at what is in it, then run: chown ${uid} '${dir}'`,
    });
  }
  if ((stat.mode & 0o002) !== 0) {
    throw new IntegrityError(`cannot use directory '${dir}': every user may write to it`, {
      hint: `look at what is in it, then run: chmod o-w '${dir}'`,
    });
  }
}
