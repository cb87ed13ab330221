import { readdir } from 'node:fs/promises';
import type { BlindSpot } from '../core/reference.ts';
import type { FolderIdentity } from '../core/trash.ts';
import { LibvirtError, PoolkeeperError } from '../errors.ts';
import { openLocalImage } from '../image-format/local-file.ts';
import { IMAGE_HEAD_BYTES, isImageHead } from '../image-format/signature.ts';
import type { Connection } from '../libvirt/connection.ts';
import { type DomainListing, listDomainDocuments } from '../libvirt/domain.ts';
import { hasNumber, isNoStoragePool, VIR_ERR } from '../libvirt/error-codes.ts';
import { lookupPool, refreshPool, type StoragePool } from '../libvirt/storage-pool.ts';
import { listVolumeNames, listVolumes, type VolumeListing } from '../libvirt/volume.ts';
import { folderIdentity } from '../state/trash.ts';

/** A pool and what is in it, as libvirt and the file system show it. */
export interface PoolListing extends VolumeListing {
  readonly pool: StoragePool;
  /** The names in its directory on this host, byte by byte; `undefined` when they cannot be read, or there is none. */
  readonly entries: readonly Buffer[] | undefined;
  readonly blindSpots: readonly BlindSpot[];
  /** Nobody knows what is in it. */
  readonly isUnseen?: boolean;
  /** Its directory on this host, as it was before anything in it was looked at. */
  readonly folder?: FolderIdentity | undefined;
}

/** Everything that one libvirt host lists. */
export interface Inventory extends DomainListing {
  readonly pools: readonly PoolListing[];
}

/** Kinds of pools whose volumes are the files of one directory. */
const DIRECTORY_POOLS: ReadonlySet<string> = new Set(['dir', 'fs', 'netfs', 'vstorage']);

const NO_VOLUMES: VolumeListing = { volumes: [], unreadable: [] };

/**
 * Lists the volumes of pools, and all domains. What vanishes meanwhile is left out; what cannot be seen is a blind spot.
 *
 * @param listed all pools: the same list by which their places were found, so that none is judged of which no place is known.
 * @param isLocal whether the paths that libvirt shows are paths of this host.
 * @throws LibvirtError when domains cannot be listed.
 */
export async function listInventory(
  connection: Connection,
  listed: readonly StoragePool[],
  isLocal: boolean,
): Promise<Inventory> {
  const pools: PoolListing[] = [];
  for (const pool of listed) {
    const folder = isLocal ? folderIdentity(pool.targetPath) : undefined;
    pools.push({ ...(await listPool(pool, connection, isLocal)), folder });
  }
  return { pools, ...(await listDomainDocuments(connection)) };
}

async function listPool(pool: StoragePool, connection: Connection, isLocal: boolean): Promise<PoolListing> {
  const entries = isLocal ? await readEntries(pool) : undefined;
  if (!pool.isActive) return await inactivePool(pool, entries);
  const blindSpots = entries === undefined ? await refreshUnseen(pool, connection) : [];
  try {
    const listing = await listVolumes(connection, pool.name);
    const stale = await staleVolumes(pool, listing.missing ?? [], connection);
    return { pool, entries, blindSpots: [...blindSpots, ...stale], ...listing };
  } catch (error) {
    if (isNoStoragePool(error)) return { pool, entries: undefined, blindSpots: [], ...NO_VOLUMES };
    if (hasNumber(error, VIR_ERR.operationInvalid)) return await inactivePool(pool, entries);
    if (!(error instanceof LibvirtError)) throw error;
    // Whether libvirt refuses this pool or does not answer at all: its numbers do not tell.
    await lookupPool(connection, pool.name);
    return unlistedPool(pool, entries, error);
  }
}

/**
 * Volumes that libvirt knows from its last refresh and that are not there, as after an unmount: nobody can tell what they stand on.
 * Those that it does not list either when it is asked again were deleted meanwhile.
 */
async function staleVolumes(
  pool: StoragePool,
  missing: readonly string[],
  connection: Connection,
): Promise<readonly BlindSpot[]> {
  if (missing.length === 0) return [];
  const again = new Set((await listVolumeNames(connection, pool.name)).map(({ name }) => name));
  const stale = missing.filter((name) => again.has(name));
  if (stale.length === 0) return [];
  return [
    {
      what: `storage pool '${pool.name}'`,
      cause: `libvirt lists ${stale.length} volume(s) that are not there, such as '${stale[0]}'`,
      remedy: `mount what they lie on; if they are gone for good: virsh pool-refresh ${pool.name}`,
      concerns: 'everything',
    },
  ];
}

/** libvirt cannot list a pool, for example because it has more than 16,384 volumes. Its directory shows as much. */
function unlistedPool(pool: StoragePool, entries: readonly Buffer[] | undefined, error: LibvirtError): PoolListing {
  if (entries !== undefined) return { pool, entries, blindSpots: [], ...NO_VOLUMES };
  const remedy = `see 'virsh vol-list ${pool.name}', or 'virsh pool-undefine ${pool.name}' if it is no longer used`;
  const spot: BlindSpot = {
    what: `storage pool '${pool.name}'`,
    cause: `its volumes cannot be listed: ${error.message}`,
    remedy,
    concerns: 'everything',
  };
  return { pool, entries: undefined, blindSpots: [spot], isUnseen: true, ...NO_VOLUMES };
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

/**
 * An inactive pool of files on this host can be read without libvirt, if it is its own directory that is to be seen: it holds an
 * image. Any other may hide overlays: without images, a file system is probably not mounted.
 */
async function inactivePool(pool: StoragePool, entries: readonly Buffer[] | undefined): Promise<PoolListing> {
  const isReadable = pool.type === 'dir' && pool.targetPath !== undefined && entries !== undefined;
  if (isReadable && (await holdsImage(pool.targetPath, entries)))
    return { pool, entries, blindSpots: [], ...NO_VOLUMES };
  const cause = isReadable
    ? 'it is not active, and its directory holds no image, as if a file system were not mounted'
    : 'it is not active, so the images in it cannot be seen';
  return { pool, entries: undefined, blindSpots: [unseenPool(pool, cause)], isUnseen: true, ...NO_VOLUMES };
}

async function holdsImage(directory: string, entries: readonly Buffer[]): Promise<boolean> {
  for (const entry of entries) {
    try {
      await using image = await openLocalImage(Buffer.concat([Buffer.from(`${directory}/`), entry]));
      if (isImageHead(await image.read(0n, IMAGE_HEAD_BYTES))) return true;
    } catch (error) {
      // Folders, sockets, and what cannot be read: no image that anybody could see.
      if (!(error instanceof PoolkeeperError)) throw error;
    }
  }
  return false;
}

function unseenPool({ name }: StoragePool, cause: string): BlindSpot {
  return {
    what: `storage pool '${name}'`,
    cause,
    remedy: `start it with 'virsh pool-start ${name}', or 'virsh pool-undefine ${name}' if it is no longer used`,
    concerns: 'everything',
  };
}
