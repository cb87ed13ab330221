import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { FailureError } from '../errors.ts';
import { loadKoffi } from '../load-koffi.ts';

const LOCK_NB = 4;

/** How flock(2) numbers its modes. Many may hold a shared lock at once, or one an exclusive one. */
const MODES = { shared: 1, exclusive: 2 } as const;

export type FlockMode = keyof typeof MODES;

/**
 * Takes the flock(2) on an open file, without waiting. The kernel drops it when the descriptor is closed, so
 * a dead process holds nothing.
 *
 * @returns false when somebody else holds it
 * @throws FailureError for every other answer of the system; `path` is only named in it.
 */
export function tryFlock(fd: number, path: string, mode: FlockMode): boolean {
  const koffi = loadKoffi();
  const flock = koffi.load('libc.so.6').func('int flock(int fd, int operation)') as (fd: number, op: number) => number;
  for (;;) {
    if (flock(fd, MODES[mode] | LOCK_NB) === 0) return true;
    const errno = koffi.errno();
    if (errno === constants.errno.EWOULDBLOCK) return false;
    if (errno !== constants.errno.EINTR) {
      throw new FailureError(`cannot lock '${path}': ${getSystemErrorName(-errno)}`, {
        hint: 'keep the state directory on a file system that supports flock',
      });
    }
  }
}
