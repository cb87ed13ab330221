import { closeSync, constants, fstatSync, openSync, statSync, type Stats } from 'node:fs';
import { IntegrityError } from '../errors.ts';
import { fileError } from './file-error.ts';
import { type FlockMode, tryFlock } from './flock.ts';

const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDWR } = constants;
const FILE_MODE = 0o640;

/**
 * The locked descriptor of the file that is at `path` now, which is made if need be; `undefined` when somebody else holds
 * it.
 *
 * @throws IntegrityError when `path` is no regular file; FailureError.
 */
export function tryLockFile(path: string, mode: FlockMode): number | undefined {
  for (;;) {
    const fd = openLockFile(path);
    try {
      if (!fstatSync(fd).isFile()) throw new IntegrityError(`cannot lock '${path}': it is not a regular file`);
      const isLocked = tryFlock(fd, path, mode);
      if (isLocked && isSameFile(fstatSync(fd), statSync(path, { throwIfNoEntry: false }))) return fd;
      closeSync(fd);
      if (!isLocked) return undefined;
      // Somebody removed the file between opening and locking: others would lock its successor.
    } catch (cause) {
      closeSync(fd);
      throw fileError(`cannot lock '${path}'`, cause);
    }
  }
}

function openLockFile(path: string): number {
  try {
    return openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, FILE_MODE);
  } catch (cause) {
    throw fileError(`cannot open lock file '${path}'`, cause);
  }
}

function isSameFile(a: Stats, b: Stats | undefined): boolean {
  return a.ino === b?.ino && a.dev === b.dev;
}
