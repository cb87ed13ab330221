import type { BigIntStats } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { posix } from 'node:path';
import { LibvirtError, PoolkeeperError } from '../errors.ts';
import { Connection } from '../libvirt/connection.ts';
import { isConnectionLost } from '../libvirt/error-codes.ts';
import type { StoragePool } from '../libvirt/storage-pool.ts';
import { listVolumeNames, lookupVolume, type Volume } from '../libvirt/volume.ts';
import { readVolumeTimes } from '../libvirt/volume-xml.ts';
import { errnoCode } from '../util/errno.ts';

/**
 * Whether the volumes of a storage pool are files that this process sees under the same paths.
 * - `here`: at least one was compared, and all that were compared agree
 * - `empty`: there is no volume to compare, and so nothing to delete
 * - `unproven`: none of its volumes could be compared
 * - `elsewhere`: the daemon runs on another host, or shows files that are not those of this host
 */
export type PoolLocality =
  | { readonly is: 'here'; readonly compared: number }
  | { readonly is: 'empty' }
  | { readonly is: 'unproven'; readonly why: string }
  | { readonly is: 'elsewhere'; readonly test: 'host name' | 'volumes'; readonly why: string };

/** What a look at one volume says: it is this file, it is another one, or nothing. */
export type FileComparison =
  | { readonly is: 'same' }
  | { readonly is: 'other'; readonly why: string }
  | { readonly is: 'unknown'; readonly why: string };

/** Kinds of pools whose volumes are the files of one directory. */
export const FILE_POOLS: ReadonlySet<string> = new Set(['dir', 'fs', 'netfs', 'vstorage']);

/** How many volumes have to agree, where there are as many. */
const ENOUGH = 16;

/** How many volumes are asked for at most, those included that say nothing. */
const MAX_ASKED = 64;

/**
 * Tells whether the daemon runs on another host by its own account; `undefined`: it goes by the name of this host. The UUID
 * of a host proves nothing, since libvirtd makes up a new one at each start where there is no DMI.
 *
 * @param own the name of this host.
 */
export async function otherHost(connection: Connection, own: string = hostname()): Promise<string | undefined> {
  let name: string;
  try {
    name = await connection.hostName();
  } catch (error) {
    if (!(error instanceof PoolkeeperError) || isConnectionLost(error)) throw error;
    return `libvirt does not say which host it runs on: ${error.message}`;
  }
  if (firstLabel(name) === firstLabel(own) || firstLabel(name) === firstLabel(await nameByLibvirt())) return undefined;
  return `libvirt runs on host '${name}', and this is host '${own}'`;
}

/** The name of this host as libvirt works it out: the canonical one of a resolver may differ from the kernel's. */
async function nameByLibvirt(): Promise<string> {
  try {
    const own = await Connection.open('test:///default', { lanes: 1 });
    try {
      return await own.hostName();
    } finally {
      await own.close();
    }
  } catch (error) {
    if (error instanceof LibvirtError) return '';
    throw error;
  }
}

function firstLabel(name: string): string {
  return (name.split('.')[0] ?? '').toLowerCase();
}

/**
 * Compares what libvirt says of volumes of an active pool with the files that lie here under the same paths. Whether the
 * host goes by our name is asked before (`otherHost`).
 */
export async function compareVolumes(
  connection: Connection,
  pool: StoragePool,
  enough: number = ENOUGH,
): Promise<PoolLocality> {
  const names = await listVolumeNames(connection, pool.name);
  if (names.length === 0) return { is: 'empty' };
  const { targetPath } = pool;
  if (targetPath === undefined || !FILE_POOLS.has(pool.type))
    return { is: 'unproven', why: `a pool of type '${pool.type}' has no files to compare` };
  let compared = 0;
  let asked = 0;
  let failure = 'every one of them changes, or is not a regular file';
  for (const { name, isNameExact } of names) {
    if (compared >= enough || asked >= MAX_ASKED) break;
    if (!isNameExact) continue;
    const before = await statusOf(posix.join(targetPath, name));
    if (before.is === 'file' && !before.status.isFile()) continue;
    if (before.is !== 'closed') asked += 1;
    const found = await compareVolume(connection, pool, name, before);
    if (found.is === 'other') return { is: 'elsewhere', test: 'volumes', why: found.why };
    if (found.is === 'same') compared += 1;
    else if (found.why !== '') failure = found.why;
  }
  return compared > 0 ? { is: 'here', compared } : { is: 'unproven', why: failure };
}

/** Compares one volume, by the same rules. */
export async function compareVolume(
  connection: Connection,
  { name: pool, targetPath = '' }: Pick<StoragePool, 'name' | 'targetPath'>,
  name: string,
  before?: FileStatus,
): Promise<FileComparison> {
  const path = posix.join(targetPath, name);
  const first = before ?? (await statusOf(path));
  if (first.is === 'closed') return { is: 'unknown', why: `'${path}' cannot be looked at: ${first.code}` };
  let volume: Volume;
  try {
    volume = await lookupVolume(connection, pool, name);
  } catch (error) {
    if (!(error instanceof PoolkeeperError) || isConnectionLost(error)) throw error;
    return { is: 'unknown', why: error.message };
  }
  if (posix.normalize(volume.path) !== path) return { is: 'unknown', why: `'${volume.path}' is not in the pool` };
  return compareFile(volume, first, await statusOf(path));
}

/** What lies at a path, links not followed. */
export type FileStatus =
  | { readonly is: 'file'; readonly status: BigIntStats }
  | { readonly is: 'missing' }
  | { readonly is: 'closed'; readonly code: string };

async function statusOf(path: string): Promise<FileStatus> {
  try {
    return { is: 'file', status: await lstat(path, { bigint: true }) };
  } catch (error) {
    const code = errnoCode(error) ?? 'unknown';
    return code === 'ENOENT' || code === 'ENOTDIR' ? { is: 'missing' } : { is: 'closed', code };
  }
}

/**
 * Compares what libvirt says of a file with what was seen of it before and after libvirt was asked. A file that changes
 * meanwhile says nothing. The time of the last change of the inode is compared as well where libvirt tells it, because a copy
 * can have every other time, owner and mode (`rsync -a`).
 */
export function compareFile(
  volume: Pick<Volume, 'path' | 'xml' | 'lengthBytes' | 'permissions'>,
  before: FileStatus,
  after: FileStatus,
): FileComparison {
  const { path, lengthBytes, permissions } = volume;
  if (before.is === 'missing' && after.is === 'missing')
    return { is: 'other', why: `libvirt shows a file '${path}', and there is none here` };
  if (before.is !== 'file' || after.is !== 'file') return { is: 'unknown', why: '' };
  const { status } = after;
  if (!isSameStatus(before.status, status) || !status.isFile()) return { is: 'unknown', why: '' };
  const { modifiedAtNs, changedAtNs } = readVolumeTimes(volume.xml);
  if (lengthBytes === undefined || permissions === undefined || modifiedAtNs === undefined)
    return { is: 'unknown', why: `libvirt says too little of '${path}' to compare it` };
  const differences = [
    lengthBytes === status.size ? [] : ['size'],
    modifiedAtNs === status.mtimeNs ? [] : ['time of last modification'],
    changedAtNs === undefined || changedAtNs === status.ctimeNs ? [] : ['time of last change'],
    permissions.owner === Number(status.uid) && permissions.group === Number(status.gid) ? [] : ['owner'],
    Number.parseInt(permissions.mode, 8) === (Number(status.mode) & 0o777) ? [] : ['mode'],
  ].flat();
  if (differences.length === 0) return { is: 'same' };
  return { is: 'other', why: `file '${path}' is another one here than libvirt shows: ${differences.join(', ')}` };
}

function isSameStatus(a: BigIntStats, b: BigIntStats): boolean {
  const facts = ({ dev, ino, size, mtimeNs, ctimeNs, uid, gid, mode }: BigIntStats): string =>
    [dev, ino, size, mtimeNs, ctimeNs, uid, gid, mode].join(' ');
  return facts(a) === facts(b);
}
