import { lstatSync, type Stats } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { IntegrityError } from '../errors.ts';
import { makeDirectory } from '../util/make-directory.ts';
import { errnoCode } from '../util/errno.ts';
import { syncPath } from './atomic-file.ts';
import { fileError } from './file-error.ts';

export interface PrivateDirOptions {
  /** The effective user of this process. */
  readonly uid: number;
  /** Permission bits of a directory that has to be made, whatever the umask is. */
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
    makeDirectory(dir, mode);
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

/**
 * Makes sure that a file, if there is one, is as its owner wrote it. The state directory of a host is that of a whole group, which
 * could put a file of its own in place of another.
 *
 * @throws IntegrityError for a link, a file with several names, one of another user (root is trusted) and one that others may
 * write to; FailureError when it cannot be looked at.
 */
export function assertPrivateFile(path: string, uid: number): void {
  const stat = lookAt(path);
  if (stat === undefined) return;
  const problem = problemOf(stat, uid);
  if (problem === undefined) return;
  throw new IntegrityError(`cannot trust '${path}': ${problem}`, {
    hint: `look at what is in it, and remove it if you did not write it: rm '${path}'`,
  });
}

function lookAt(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (cause) {
    if (errnoCode(cause) === 'ENOTDIR') return undefined;
    throw fileError(`cannot look at '${path}'`, cause);
  }
}

function problemOf(stat: Stats, uid: number): string | undefined {
  if (!stat.isFile()) return 'it is not a regular file';
  if (stat.nlink > 1) return 'it has more than one name';
  if (stat.uid !== uid && stat.uid !== 0) return `it belongs to another user, uid ${stat.uid}`;
  return (stat.mode & 0o022) === 0 ? undefined : 'others may write to it';
}
