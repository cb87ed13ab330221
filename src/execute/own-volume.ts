import { InUseError } from '../errors.ts';
import { isNoStorageVolume } from '../libvirt/error-codes.ts';
import { deleteVolume, lookupVolume, type Volume } from '../libvirt/volume.ts';
import type { Environment } from './environment.ts';

type Pool = Pick<Environment, 'connection' | 'poolName'>;

/** Removes a volume that the same operation has made. Nothing may use it. One that is gone already is no failure. */
export async function removeOwnVolume({ connection, poolName }: Pool, volumeName: string): Promise<void> {
  try {
    await deleteVolume(connection, poolName, volumeName);
  } catch (error) {
    if (!isNoStorageVolume(error)) throw error;
  }
}

/** A volume of the pool; `undefined` when libvirt itself says that there is none. */
export async function findVolume({ connection, poolName }: Pool, volumeName: string): Promise<Volume | undefined> {
  try {
    return await lookupVolume(connection, poolName, volumeName);
  } catch (error) {
    if (isNoStorageVolume(error)) return undefined;
    throw error;
  }
}

/**
 * Removes what an operation left unfinished. A volume on its way is visible to everybody: once somebody uses it, it is left
 * to the sweep.
 *
 * @returns whether it is gone.
 */
export async function removeUnfinished(
  pool: Pool,
  volumeName: string,
  assertUnused: (volumeName: string) => Promise<void>,
): Promise<boolean> {
  if ((await findVolume(pool, volumeName)) === undefined) return true;
  try {
    await assertUnused(volumeName);
  } catch (error) {
    if (error instanceof InUseError) return false;
    throw error;
  }
  await removeOwnVolume(pool, volumeName);
  return true;
}
