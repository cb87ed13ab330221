import { readdir } from 'node:fs/promises';
import { posix } from 'node:path';
import type { BlindSpot } from '../core/reference.ts';
import { networkTokensOfVolume, volumeToken } from '../core/reference-tokens.ts';
import type { PoolkeeperError } from '../errors.ts';
import type { Connection } from '../libvirt/connection.ts';
import { isNoStoragePool } from '../libvirt/error-codes.ts';
import type { StoragePool } from '../libvirt/storage-pool.ts';
import { listVolumes, type Volume } from '../libvirt/volume.ts';
import type { Draft, DraftNode } from './draft.ts';
import type { FileIdentifier, FileIdentity } from './file-identity.ts';

/** What is needed to look into pools. */
export interface PoolSight {
  readonly connection: Connection;
  readonly files: FileIdentifier;
  /** Whether the paths that libvirt shows are paths of this host. */
  readonly isLocal: boolean;
}

/** A volume with the node that stands for it. */
export interface SeenVolume {
  readonly volume: Volume;
  readonly node: DraftNode;
}

/** Kinds of pools whose volumes are the files of one directory. */
const DIRECTORY_POOLS: ReadonlySet<string> = new Set(['dir', 'fs', 'netfs', 'vstorage']);

/** Volumes that hold a tree of files. */
const DIRECTORY_VOLUMES: ReadonlySet<string> = new Set(['dir', 'netdir', 'ploop']);

/** For volumes whose path is a name on a network. */
const NOT_A_FILE: FileIdentity = { tokens: [], paths: [], state: 'other', entry: undefined };

/**
 * Drafts a node for every volume of a pool, and for every file in its directory that libvirt does not list: overlays are
 * often made behind libvirt's back. What cannot be seen becomes a blind spot.
 */
export async function draftPool(pool: StoragePool, draft: Draft, sight: PoolSight): Promise<readonly SeenVolume[]> {
  if (!pool.isActive) {
    await draftInactivePool(pool, draft, sight);
    return [];
  }
  const listing = await listVolumesOrNone(pool, sight.connection);
  // Side by side, to be remembered: one after the other, 2,000 paths take half a second.
  const paths = listing.volumes.map(({ path }) => path).filter((path) => path.startsWith('/'));
  await Promise.all(paths.map((path) => sight.files.identify(path)));
  const seen: SeenVolume[] = [];
  for (const volume of listing.volumes) seen.push({ volume, node: await draftVolume(volume, pool, draft, sight) });
  const strays = await draftStrays(pool, draft, sight);
  for (const { name, error } of listing.unreadable) {
    if (!strays.includes(name)) draft.blindSpots.push(unseenVolume(pool, name, error));
  }
  return seen;
}

/** A pool that was undefined since it was listed has no volumes that could matter. */
async function listVolumesOrNone(pool: StoragePool, connection: Connection) {
  try {
    return await listVolumes(connection, pool.name);
  } catch (error) {
    if (isNoStoragePool(error)) return { volumes: [], unreadable: [] };
    throw error;
  }
}

async function draftVolume(volume: Volume, pool: StoragePool, draft: Draft, sight: PoolSight): Promise<DraftNode> {
  const id = `${pool.name}/${volume.name}`;
  const identity = volume.path.startsWith('/') ? await sight.files.identify(volume.path) : NOT_A_FILE;
  const isReadable = sight.isLocal && identity.state === 'file';
  return draft.add(identity.entry ?? id, {
    id,
    label: `volume ${id}`,
    tokens: [...identity.tokens, ...tokensOfName(pool, volume.name), ...networkTokensOfVolume(pool.type, volume)],
    paths: [volume.path, ...identity.paths],
    isDirectory: DIRECTORY_VOLUMES.has(volume.type),
    edges: [],
    content: { file: isReadable ? volume.path : undefined, volume: { pool: pool.name, name: volume.name } },
  });
}

function tokensOfName(pool: StoragePool, name: string): readonly string[] {
  return [volumeToken(pool.name, name), `name:${name}`];
}

/** Drafts the entries of a pool's directory and returns their names. */
async function draftStrays(pool: StoragePool, draft: Draft, sight: PoolSight): Promise<readonly string[]> {
  if (!sight.isLocal || pool.targetPath === undefined || !DIRECTORY_POOLS.has(pool.type)) return [];
  const names = await readdir(pool.targetPath, { encoding: 'buffer' }).catch(() => []);
  for (const name of names) await draftStray(name, pool.targetPath, { pool, draft, files: sight.files });
  return names.map((name) => name.toString());
}

async function draftStray(
  bytes: Buffer,
  directory: string,
  { pool, draft, files }: { pool: StoragePool; draft: Draft; files: FileIdentifier },
): Promise<void> {
  const name = bytes.toString();
  const path = posix.join(directory, name);
  const isExact = Buffer.from(name).equals(bytes);
  const identity = await files.identify(path);
  if (isExact && identity.state !== 'file' && identity.state !== 'unreadable') return;
  draft.add(identity.entry ?? path, {
    id: path,
    label: `file ${path}`,
    tokens: [...identity.tokens, ...tokensOfName(pool, name)],
    paths: [...identity.paths],
    isDirectory: false,
    edges: [],
    content: { file: isExact ? path : Buffer.concat([Buffer.from(`${directory}/`), bytes]), volume: undefined },
  });
}

/** An inactive pool of files on this host can be read without libvirt; any other may hide overlays. */
async function draftInactivePool(pool: StoragePool, draft: Draft, sight: PoolSight): Promise<void> {
  const isReadable = pool.type === 'dir' && pool.targetPath !== undefined && sight.isLocal;
  const state = isReadable ? (await sight.files.identify(pool.targetPath)).state : 'unreadable';
  if (state === 'directory') {
    await draftStrays(pool, draft, sight);
    return;
  }
  draft.blindSpots.push({
    what: `storage pool '${pool.name}'`,
    cause: 'it is not active, so the images in it cannot be seen',
    remedy: `start it with 'virsh pool-start ${pool.name}', or 'virsh pool-undefine ${pool.name}' if it is no longer used`,
    concerns: 'everything',
  });
}

function unseenVolume(pool: StoragePool, name: string, error: PoolkeeperError): BlindSpot {
  return {
    what: `volume '${name}' in pool '${pool.name}'`,
    cause: error.message,
    remedy: `see 'virsh vol-dumpxml --pool ${pool.name} ${name}', or run poolkeeper on the host itself as root`,
    concerns: 'everything',
  };
}
