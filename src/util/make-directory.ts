import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { umask } from 'node:process';
import { errnoCode } from './errno.ts';

/**
 * Makes a directory with exactly these permission bits, whatever the umask of whoever started the program is. In a directory with
 * the set-group-ID bit it inherits that bit and the group. It is not chmod-ed, which would take the bit off, and which
 * `RestrictSUIDSGID=` of a service forbids.
 *
 * @throws what `mkdir` throws, EEXIST included.
 */
export function makeDirectory(path: string, mode: number): void {
  // Synchronous: nothing of this thread can run in between, and all that other threads make has bits of its own.
  const previous = umask(0);
  try {
    mkdirSync(path, { mode });
  } finally {
    umask(previous);
  }
}

/**
 * Makes a directory and what is missing above it. Everybody can enter what is made above.
 *
 * @throws what `mkdir` throws, unless the directory is there already.
 */
export function makeOpenDirectory(path: string, mode: number): void {
  try {
    makeDirectory(path, mode);
  } catch (cause) {
    const code = errnoCode(cause);
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || dirname(path) === path) throw cause;
    makeOpenDirectory(dirname(path), 0o755);
    makeOpenDirectory(path, mode);
  }
}
