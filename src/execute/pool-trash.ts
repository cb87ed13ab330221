import { join } from 'node:path';
import type { StoragePool } from '../libvirt/storage-pool.ts';
import { PoolTrash } from '../state/trash.ts';
import { FILE_POOLS } from '../usage/locality.ts';
import { errnoCode } from '../util/errno.ts';
import type { Environment } from './environment.ts';

/** uvtool's own pool: everything that lies in its folder is an image to uvtool. */
const UVTOOL_POOL = 'uvtool';

/** The part of an environment that tells where a trash is. */
export type TrashSite = Pick<Environment, 'pool' | 'uid'>;

/** Whether the volumes of a pool are the files of one folder. That it is a folder of this host is for a judgement to say. */
export function isFilePool(pool: StoragePool): boolean {
  return FILE_POOLS.has(pool.type) && pool.targetPath !== undefined;
}

/**
 * Opens the folder of a pool for deletions and what takes them back.
 *
 * @param folder the folder that volumes came from, where the pool has another one by now.
 * @throws the system's error when it cannot be opened.
 */
export function openTrash({ pool, uid }: TrashSite, folder = pool.targetPath): PoolTrash {
  return PoolTrash.open(folder ?? '', {
    poolUuid: pool.uuid,
    mayLieInside: pool.name !== UVTOOL_POOL,
    euid: uid,
  });
}

/** Opens it as `openTrash`; `undefined` where it cannot be opened: then nothing can be moved, and nothing may be deleted. */
export function attemptOpenTrash(site: TrashSite, folder?: string): PoolTrash | undefined {
  try {
    return openTrash(site, folder);
  } catch (cause) {
    if (errnoCode(cause) === undefined) throw cause;
    return undefined;
  }
}

/** Whether a volume is an entry of the pool's folder itself. */
export function isInFolder(
  pool: StoragePool,
  { name, path }: { readonly name: string; readonly path: string },
): boolean {
  return !name.includes('/') && path === join(pool.targetPath ?? '', name);
}
