import { readdir } from 'node:fs/promises';
import type { BlindSpot } from '../core/reference.ts';
import { PoolkeeperError } from '../errors.ts';
import type { Connection } from '../libvirt/connection.ts';
import { type DomainListing, listDomainDocuments } from '../libvirt/domain.ts';
import { hasNumber, isNoStoragePool, VIR_ERR } from '../libvirt/error-codes.ts';
import { listPools, refreshPool, type StoragePool } from '../libvirt/storage-pool.ts';
import { listVolumes, type VolumeListing } from '../libvirt/volume.ts';

/** A pool and what is in it, as libvirt and the file system show it. */
export interface PoolListing extends VolumeListing {
  readonly pool: StoragePool;
  /** The names in its directory on this host, byte by byte; `undefined` when they cannot be read, or there is none. */
  readonly entries: readonly Buffer[] | undefined;
  readonly blindSpots: readonly BlindSpot[];
}

/** Everything that one libvirt host lists. */
export interface Inventory extends DomainListing {
  readonly pools: readonly PoolListing[];
}

/** Kinds of pools whose volumes are the files of one directory. */
const DIRECTORY_POOLS: ReadonlySet<string> = new Set(['dir', 'fs', 'netfs', 'vstorage']);

const NO_VOLUMES: VolumeListing = { volumes: [], unreadable: [] };

/**
 * Lists pools, volumes and domains. What vanishes meanwhile is left out; what cannot be seen is a blind spot.
 *
 * @param isLocal whether the paths that libvirt shows are paths of this host.
 * @throws LibvirtError when domains, pools, or the volumes of an active pool cannot be listed.
 */
export async function listInventory(connection: Connection, isLocal: boolean): Promise<Inventory> {
  const pools: PoolListing[] = [];
  for (const pool of await listPools(connection)) pools.push(await listPool(pool, connection, isLocal));
  return { pools, ...(await listDomainDocuments(connection)) };
}

async function listPool(pool: StoragePool, connection: Connection, isLocal: boolean): Promise<PoolListing> {
  const entries = isLocal ? await readEntries(pool) : undefined;
  if (!pool.isActive) return inactivePool(pool, entries);
  const blindSpots = entries === undefined ? await refreshUnseen(pool, connection) : [];
  try {
    return { pool, entries, blindSpots, ...(await listVolumes(connection, pool.name)) };
  } catch (error) {
    if (isNoStoragePool(error)) return { pool, entries: undefined, blindSpots: [], ...NO_VOLUMES };
    if (hasNumber(error, VIR_ERR.operationInvalid)) return inactivePool(pool, entries);
    throw error;
  }
}

async function readEntries({ type, targetPath }: StoragePool): Promise<readonly Buffer[] | undefined> {
  if (targetPath === undefined || !DIRECTORY_POOLS.has(type)) return undefined;
  return readdir(targetPath, { encoding: 'buffer' }).catch(() => undefined);
}

/**
 * Overlays are often made behind libvirt's back. Where their directory cannot be read from here, libvirt has to look.
 * When it cannot either, it stops the pool.
 */
async function refreshUnseen(pool: StoragePool, connection: Connection): Promise<readonly BlindSpot[]> {
  if (!DIRECTORY_POOLS.has(pool.type)) return [];
  try {
    await refreshPool(connection, pool.name);
    return [];
  } catch (error) {
    if (!(error instanceof PoolkeeperError)) throw error;
    if (isNoStoragePool(error)) return [];
    return [unseenPool(pool, error.message)];
  }
}

/** An inactive pool of files on this host can be read without libvirt; any other may hide overlays. */
function inactivePool(pool: StoragePool, entries: readonly Buffer[] | undefined): PoolListing {
  if (pool.type === 'dir' && entries !== undefined) return { pool, entries, blindSpots: [], ...NO_VOLUMES };
  const blindSpots = [unseenPool(pool, 'it is not active, so the images in it cannot be seen')];
  return { pool, entries: undefined, blindSpots, ...NO_VOLUMES };
}

function unseenPool({ name }: StoragePool, cause: string): BlindSpot {
  return {
    what: `storage pool '${name}'`,
    cause,
    remedy: `start it with 'virsh pool-start ${name}', or 'virsh pool-undefine ${name}' if it is no longer used`,
    concerns: 'everything',
  };
}
