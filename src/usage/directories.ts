import { type BigIntStats, readdirSync } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { encodeVolumeName, type Identity } from '../core/identity.ts';
import { PoolkeeperError, UsageError } from '../errors.ts';
import type { Connection } from '../libvirt/connection.ts';
import { isConnectionLost, isNoStorageVolume } from '../libvirt/error-codes.ts';
import { listPools, type StoragePool } from '../libvirt/storage-pool.ts';
import { lookupVolume } from '../libvirt/volume.ts';
import { FILE_POOLS, otherHost } from './locality.ts';

/** A directory of poolkeeper's own. */
export interface OwnDirectory {
  /** What it is called in messages, e.g. `state directory`. */
  readonly what: string;
  readonly path: string;
}

/** What is wrong with the place of a directory. */
export interface Misplacement {
  readonly dir: OwnDirectory;
  readonly pool: StoragePool;
  /** `target`: it is the pool's own; `inside`: on the way from it down; `above`: on the way up. */
  readonly where: 'target' | 'inside' | 'above';
}

/**
 * Finds directories of poolkeeper's own that are in the way of storage pools, by identity and not by name: files in a pool
 * are volumes, and files of poolkeeper's are set aside and removed. Only directories of this host can be compared.
 *
 * @returns what lies inside of another pool than the managed one as well, which does no harm.
 */
export async function findMisplaced(
  dirs: readonly OwnDirectory[],
  pools: readonly StoragePool[],
): Promise<readonly Misplacement[]> {
  const found: Misplacement[] = [];
  // A network file system may not answer, and nobody keeps state there by mistake.
  const files = pools.filter(({ type }) => FILE_POOLS.has(type) && type !== 'netfs');
  const ways = await Promise.all(dirs.map(async (dir) => ({ dir, own: await wayUp(dir.path) })));
  for (const pool of files) {
    if (pool.targetPath === undefined) continue;
    const target = await wayUp(pool.targetPath);
    for (const { dir, own } of ways) {
      if (isSame(own[0], target[0])) found.push({ dir, pool, where: 'target' });
      else if (own.slice(1).some((step) => isSame(step, target[0]))) found.push({ dir, pool, where: 'inside' });
      else if (target.slice(1).some((step) => isSame(step, own[0]))) found.push({ dir, pool, where: 'above' });
    }
  }
  return found;
}

/** Whether a directory must not be where it is. Beside the managed pool only a pool's own target counts. */
export function isHarmful({ where, pool }: Misplacement, managed: string): boolean {
  return where === 'target' || pool.name === managed;
}

/** What is wrong, in one line. */
export function misplacementText({ dir, pool, where }: Misplacement): string {
  const relation = { target: 'is the directory', inside: 'lies in the directory', above: 'holds the directory' }[where];
  return `${dir.what} '${dir.path}' ${relation} of storage pool '${pool.name}', '${pool.targetPath ?? ''}'`;
}

/**
 * Makes sure that no directory of poolkeeper's own is in the way of a pool.
 *
 * @param planned pools that are about to be made.
 * @throws UsageError naming the first one that is.
 */
export async function assertOwnPlaces(
  connection: Connection,
  dirs: readonly OwnDirectory[],
  managed: string,
  planned: readonly StoragePool[] = [],
): Promise<void> {
  if ((await otherHost(connection)) !== undefined) return;
  const pools = [...(await listPools(connection)), ...planned];
  const wrong = (await findMisplaced(dirs, pools)).find((each) => isHarmful(each, managed));
  if (wrong !== undefined) throw misplaced(wrong);
}

function misplaced(wrong: Misplacement): UsageError {
  const option = { 'state directory': '--state-dir', 'cache directory': '--cache-dir' }[wrong.dir.what];
  return new UsageError(`cannot use this directory: ${misplacementText(wrong)}`, {
    hint: `name another one with ${option ?? '--metadata-dir'}, outside of every storage pool`,
  });
}

/** One directory on the way up to the root; what is not there yet has no status. */
interface Step {
  readonly path: string;
  readonly status: BigIntStats | undefined;
}

/** A directory and all above it, links resolved. */
async function wayUp(path: string): Promise<readonly Step[]> {
  const steps: Step[] = [];
  let at = await realPlace(resolve(path));
  for (;;) {
    const status = await stat(at, { bigint: true }).catch(() => undefined);
    steps.push({ path: at, status });
    if (dirname(at) === at) return steps;
    at = dirname(at);
  }
}

/** Where a path leads, also if the last parts of it are not there yet. */
async function realPlace(path: string): Promise<string> {
  const parent = dirname(path);
  return realpath(path).catch(async () => (parent === path ? path : join(await realPlace(parent), basename(path))));
}

function isSame(a: Step | undefined, b: Step | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  if (a.status === undefined || b.status === undefined) return a.path === b.path;
  return a.status.dev === b.status.dev && a.status.ino === b.status.ino;
}

/**
 * Why a metadata file without a volume may belong to another pool; `undefined`: no other pool of this libvirt can have it, each
 * was looked through. That no other libvirt has claimed the directory is known before (`assertOwnMetadata`).
 *
 * @param isUvtools whether the directory is that of uvtool, where the pool of the system's libvirt keeps its metadata.
 */
export async function whoseElse(
  connection: Connection,
  {
    managed,
    identity,
    isUvtools,
  }: {
    readonly managed: string;
    readonly identity: Identity;
    readonly isUvtools: boolean;
  },
): Promise<string | undefined> {
  const other = await otherHost(connection);
  if (isUvtools && (other !== undefined || !/^[^?#]*\/system(?:[?#]|$)/.test(connection.uri)))
    return `it is in the directory of this host's uvtool, and ${connection.uri} is another libvirt`;
  for (const pool of await listPools(connection)) {
    if (pool.name === managed) continue;
    const name = encodeVolumeName(identity, pool.type);
    const is = pool.isActive ? await holds(connection, pool, name) : lists(pool, name, other === undefined);
    if (is === 'yes') return `storage pool '${pool.name}' has a volume of that name`;
    if (is === 'unknown') return `storage pool '${pool.name}' cannot be looked through`;
  }
  return undefined;
}

type Answer = 'yes' | 'no' | 'unknown';

async function holds(connection: Connection, { name: pool }: StoragePool, volume: string): Promise<Answer> {
  try {
    await lookupVolume(connection, pool, volume);
    return 'yes';
  } catch (error) {
    if (!(error instanceof PoolkeeperError) || isConnectionLost(error)) throw error;
    return isNoStorageVolume(error) ? 'no' : 'unknown';
  }
}

/** A pool that is not active can only be looked through in its own directory, which may be that of an unmounted disk. */
function lists({ type, targetPath }: StoragePool, volume: string, isOfThisHost: boolean): Answer {
  if (!isOfThisHost || type !== 'dir' || targetPath === undefined) return 'unknown';
  try {
    const names = readdirSync(targetPath);
    if (names.includes(volume)) return 'yes';
    return names.length === 0 ? 'unknown' : 'no';
  } catch {
    return 'unknown';
  }
}
