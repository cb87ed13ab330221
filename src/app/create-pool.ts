import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { dirname, isAbsolute, posix } from 'node:path';
import { FailureError, LibvirtError, PoolkeeperError, UsageError } from '../errors.ts';
import { removeOwnVolume } from '../execute/own-volume.ts';
import type { Connection } from '../libvirt/connection.ts';
import { isNoStoragePool } from '../libvirt/error-codes.ts';
import {
  buildPool,
  definePool,
  deletePool,
  lookupPool,
  poolXml,
  setPoolAutostart,
  startPool,
  stopPool,
  type StoragePool,
  undefinePool,
} from '../libvirt/storage-pool.ts';
import { createVolume, volumeXml } from '../libvirt/volume.ts';
import { folderIdentity, isSameFolder } from '../state/trash.ts';
import type { OwnDirectory } from '../usage/directories.ts';
import { otherHost } from '../usage/locality.ts';
import { errnoCode } from '../util/errno.ts';

const UVTOOL_TARGET = '/var/lib/uvtool/libvirt/images';

/** What has to be done so that a pool is there and active. */
export type PoolPlan =
  | { readonly action: 'none' }
  | { readonly action: 'start'; readonly name: string; readonly targetPath: string | undefined }
  | { readonly action: 'create'; readonly name: string; readonly targetPath: string };

/**
 * Decides what `--create-pool[=PATH]` has to do. A pool that exists is started at most: it is never built, because its
 * directory may lie on a disk that is not mounted, and its autostart is its owner's matter.
 *
 * @param path as it was given; empty: it was not said.
 * @throws UsageError when it is not clear where the pool should lie, or when it exists and lies elsewhere.
 */
export async function planPool(connection: Connection, name: string, path: string): Promise<PoolPlan> {
  const known = await lookupPool(connection, name).catch((error: unknown) => {
    if (isNoStoragePool(error)) return undefined;
    throw error;
  });
  if (known === undefined) return { action: 'create', name, targetPath: targetOf(name, path) };
  if (path !== '' && !(await isTargetOf(connection, known, path))) {
    const place = known.targetPath === undefined ? `is of type '${known.type}'` : `lies in '${known.targetPath}'`;
    throw new UsageError(`cannot create storage pool '${name}' in '${path}': it exists already, and ${place}`, {
      hint: `leave the directory out to use that pool, or name another one with --pool`,
    });
  }
  return known.isActive ? { action: 'none' } : { action: 'start', name, targetPath: known.targetPath };
}

/** By whatever name, a directory is the same; but those of another host can only be compared as text. */
async function isTargetOf(connection: Connection, { targetPath }: StoragePool, path: string): Promise<boolean> {
  if (targetPath === undefined || !isAbsolute(path)) return false;
  const plain = (text: string): string => posix.normalize(`${text}/`);
  if (plain(targetPath) === plain(path)) return true;
  if ((await otherHost(connection)) !== undefined) return false;
  return isSameFolder(folderIdentity(targetPath), folderIdentity(path));
}

function targetOf(name: string, path: string): string {
  if (isAbsolute(path)) return path;
  if (path === '' && name === 'uvtool') return UVTOOL_TARGET;
  const where = path === '' ? 'it is not said where' : `'${path}' is not an absolute path`;
  throw new UsageError(`cannot create storage pool '${name}': ${where}`, {
    hint: 'give an absolute directory: --create-pool=/srv/images',
  });
}

/**
 * Carries a plan out. Directories of poolkeeper's own are tried first, so that no pool is left that cannot be used, and a
 * new pool by a volume that is removed at once.
 *
 * Crash order of a new pool: defined, built if its directory is not there, started, tried, set to start with libvirt. What fails on the
 * way is undone; what a killed run leaves is a pool that exists.
 *
 * @throws FailureError when a directory cannot be written to; LibvirtError.
 */
export async function executePoolPlan(
  connection: Connection,
  plan: PoolPlan,
  dirs: readonly OwnDirectory[],
): Promise<void> {
  if (plan.action === 'none') return;
  for (const dir of dirs) await assertWritable(dir);
  if (plan.action === 'start') return startExisting(connection, plan);
  const { name, targetPath } = plan;
  const isThere = await isDirectory(connection, targetPath);
  await definePool(connection, poolXml({ name, targetPath }));
  let isBuilt = false;
  let isStarted = false;
  try {
    if (isThere === false) {
      await buildPool(connection, name);
      isBuilt = true;
    }
    await startPool(connection, name).catch(async (error: unknown) => {
      // Whether there is a directory on another host, only that host can tell. To build what exists changes nothing there.
      if (isThere !== undefined) throw error;
      await buildPool(connection, name);
      await startPool(connection, name);
    });
    isStarted = true;
    await tryPool(connection, name);
    await setPoolAutostart(connection, name, true);
  } catch (error) {
    await undo(connection, name, { isBuilt, isStarted });
    throw error;
  }
}

async function startExisting(
  connection: Connection,
  { name, targetPath }: Extract<PoolPlan, { readonly action: 'start' }>,
): Promise<void> {
  try {
    await startPool(connection, name);
  } catch (error) {
    if (!(error instanceof LibvirtError)) throw error;
    const { message, virErrorNumber, virErrorDomain } = error;
    const mount = targetPath === undefined ? '' : `mount what belongs on '${targetPath}', or `;
    throw new LibvirtError(message, {
      cause: error,
      virErrorNumber,
      virErrorDomain,
      hint: `the pool exists, so it is not built anew: ${mount}make its directory with 'virsh pool-build ${name}'`,
    });
  }
}

/** Whether a directory is there; `undefined` where that cannot be seen from here. */
async function isDirectory(connection: Connection, path: string): Promise<boolean | undefined> {
  if ((await otherHost(connection)) !== undefined) return undefined;
  try {
    await stat(path);
    return true;
  } catch (error) {
    return errnoCode(error) === 'ENOENT' ? false : undefined;
  }
}

/** Makes an empty volume and removes it: only libvirt can tell whether it can write to the directory. */
async function tryPool(connection: Connection, poolName: string): Promise<void> {
  const name = `.poolkeeper-try-${randomBytes(4).toString('hex')}`;
  const description = { name, capacityBytes: 0n, allocationBytes: 0n, format: 'raw' };
  await createVolume(connection, poolName, volumeXml(description));
  await removeOwnVolume({ connection, poolName }, name);
}

/** Takes back what was made, in reverse order. What cannot be taken back stays, and the first failure is what counts. */
async function undo(
  connection: Connection,
  name: string,
  { isBuilt, isStarted }: { readonly isBuilt: boolean; readonly isStarted: boolean },
): Promise<void> {
  try {
    if (isStarted) await stopPool(connection, name);
    // Removes the directory only if it is empty.
    if (isBuilt) await deletePool(connection, name);
    await undefinePool(connection, name);
  } catch (error) {
    if (!(error instanceof PoolkeeperError)) throw error;
  }
}

/** @throws FailureError when nothing could be written to a directory, or it cannot be made. */
async function assertWritable({ what, path }: OwnDirectory): Promise<void> {
  let at = path;
  for (;;) {
    try {
      await access(at, constants.W_OK | constants.X_OK);
      return;
    } catch (cause) {
      const code = errnoCode(cause);
      if (code === 'ENOENT' && dirname(at) !== at) {
        at = dirname(at);
        continue;
      }
      const doing = at === path ? 'write to' : 'make';
      throw new FailureError(`cannot ${doing} ${what} '${path}': ${String(code)} in '${at}'`, {
        cause,
        hint: 'run poolkeeper as root, or name another directory',
      });
    }
  }
}
