import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { FailureError } from '../errors.ts';
import type { Volume } from '../libvirt/volume.ts';

/** What is to become of a file's permissions. */
export type PermissionChange =
  | { readonly mode: number }
  /** `undefined`: stays as it is. */
  | { readonly uid: number | undefined; readonly gid: number | undefined };

/**
 * Changes owner or mode of the file of a volume on this host: libvirt can only set them when it makes a volume. No link is
 * followed, and what is changed is the file that was looked at.
 *
 * @throws FailureError when it is not the volume's file, or may not be changed.
 */
export async function changePermissions(volume: Volume, change: PermissionChange): Promise<void> {
  const { path } = volume;
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(path, flags).catch((cause: unknown) => {
    throw failure(path, cause);
  });
  try {
    const status = await file.stat();
    const isSame = volume.lengthBytes === undefined || BigInt(status.size) === volume.lengthBytes;
    if (!status.isFile() || !isSame) throw new FailureError(`'${path}' is not the file of volume '${volume.name}'`);
    await apply(file, change).catch((cause: unknown) => {
      throw failure(path, cause);
    });
  } finally {
    await file.close();
  }
}

async function apply(file: FileHandle, change: PermissionChange): Promise<void> {
  if ('mode' in change) return file.chmod(change.mode);
  const { uid, gid } = await file.stat();
  await file.chown(change.uid ?? uid, change.gid ?? gid);
}

function failure(path: string, cause: unknown): FailureError {
  const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
  return new FailureError(`cannot change the permissions of '${path}': ${reason}`, {
    cause,
    hint:
      reason === 'EPERM' || reason === 'EACCES'
        ? 'only root may, and for its mode the owner of the file'
        : 'see its path in poolkeeper show',
  });
}
