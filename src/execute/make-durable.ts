import { execFile } from 'node:child_process';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { FailureError } from '../errors.ts';
import { lookupVolume } from '../libvirt/volume.ts';
import { syncPath } from '../state/atomic-file.ts';
import { fileError } from '../state/file-error.ts';
import { otherHost } from '../usage/locality.ts';
import { errnoCode } from '../util/errno.ts';
import type { Environment } from './environment.ts';

/** By these a path is not one that this user can open here, though libvirt can: of another user, in another root. */
const CLOSED: ReadonlySet<string | undefined> = new Set(['EACCES', 'EPERM', 'ENOENT', 'ENOTDIR', 'ELOOP']);

/**
 * Makes the file of a volume on this host survive a loss of power: neither libvirt nor qemu-img does. A file that this user
 * may not open is made durable with all else on the host.
 *
 * @throws NoSpaceError when the storage was promised and is full; FailureError when it cannot be written to.
 */
export async function makeDurable(path: string): Promise<void> {
  try {
    await syncPath(path);
    await syncPath(dirname(path));
  } catch (cause) {
    if (!CLOSED.has(errnoCode(cause))) throw fileError(`cannot make '${path}' durable`, cause);
    await syncAll(path);
  }
}

/**
 * Makes a volume of the pool durable, by its name. On another host only that host can. A daemon with the name of this host
 * is enough here, since a file that is made durable in vain loses nothing.
 */
export async function makeVolumeDurable(
  { connection, poolName }: Pick<Environment, 'connection' | 'poolName'>,
  volumeName: string,
): Promise<void> {
  if ((await otherHost(connection)) !== undefined) return;
  const { path } = await lookupVolume(connection, poolName, volumeName);
  await makeDurable(path);
}

async function syncAll(path: string): Promise<void> {
  try {
    await promisify(execFile)('sync');
  } catch (cause) {
    throw new FailureError(`cannot make '${path}' durable`, { cause });
  }
}
