import type { Digest } from '../core/record.ts';
import type { NewPermissions } from '../core/permissions.ts';
import { PoolkeeperError } from '../errors.ts';
import type { Connection } from '../libvirt/connection.ts';
import { createVolumeFrom, lookupVolume, resizeVolume, type Volume, volumeXml } from '../libvirt/volume.ts';
import { assertNotSmaller, type BaseImage } from './base-image.ts';
import { copyVolume } from './copy-volume.ts';
import { makeNewVolume } from './new-volume.ts';
import { removeOwnVolume } from './own-volume.ts';

/** A volume to make with all that an image holds. */
export interface FullClone {
  readonly connection: Connection;
  readonly base: BaseImage;
  readonly pool: string;
  readonly name: string;
  /** As the domain will see it; by default as large as the image. */
  readonly sizeBytes: bigint | undefined;
  readonly permissions: NewPermissions | undefined;
  /** What the image's bytes must be, as far as that is known. */
  readonly digest: Digest | undefined;
  readonly signal: AbortSignal;
  onProgress(this: void, doneBytes: bigint): void;
}

/**
 * Makes a volume that needs no other one. What libvirt has flattened lies under a name that says so until it is copied; and
 * what is copied gets its first bytes last, so that no image begins in it before it is whole. So whatever is interrupted,
 * by whom, leaves nothing that looks complete.
 *
 * @throws UsageError when the size is smaller than the image; IntegrityError when the image has changed; FailureError when
 * the name is taken; LibvirtError, NoSpaceError. Then nothing is left, unless libvirtd is gone.
 */
export async function cloneFully(clone: FullClone): Promise<Volume> {
  const { connection, base, pool, name, sizeBytes } = clone;
  assertNotSmaller(base, sizeBytes);
  if (base.standsOnAnother) await copyFlattened(clone);
  else await copy(clone, base.volume, clone.digest);
  if (sizeBytes !== undefined && sizeBytes > base.capacityBytes)
    await resizeVolume(connection, { pool, name }, sizeBytes);
  return lookupVolume(connection, pool, name);
}

/** libvirt's own work cannot be stopped, and goes on if this process dies. */
async function copyFlattened(clone: FullClone): Promise<void> {
  const { connection, base, pool, name, signal } = clone;
  const unfinished = `${name}.unfinished`;
  const { capacityBytes, volume } = base;
  const { permissions } = clone;
  const xml = volumeXml({ name: unfinished, capacityBytes, allocationBytes: 0n, format: 'qcow2', permissions });
  const flat = await makeNewVolume(pool, unfinished, () => createVolumeFrom(connection, pool, xml, volume));
  try {
    signal.throwIfAborted();
    await copy(clone, flat, undefined);
  } finally {
    await removeOwnVolume({ connection, poolName: pool }, unfinished);
  }
}

/** Only what was made here is removed: whatever else bears the name is somebody's. */
async function copy(clone: FullClone, source: Volume, digest: Digest | undefined): Promise<void> {
  const { connection, pool, name, permissions, signal, onProgress } = clone;
  let isOwn = false;
  const onCreated = (): void => {
    isOwn = true;
  };
  const what = {
    pool: source.pool,
    sourceName: source.name,
    targetPool: pool,
    targetName: name,
    permissions,
  };
  const how = { connection, digest, signal, onCreated, onProgress };
  try {
    await makeNewVolume(pool, name, () => copyVolume({ ...what, ...how }));
  } catch (error) {
    if (isOwn) await removeOwnVolume({ connection, poolName: pool }, name).catch(ignoreKnown);
    throw error;
  }
}

/** What failed before is the news. */
function ignoreKnown(error: unknown): void {
  if (!(error instanceof PoolkeeperError)) throw error;
}
