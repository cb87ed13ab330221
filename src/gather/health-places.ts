import { constants, existsSync } from 'node:fs';
import { access, stat, statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { formatBytes } from '../core/byte-size.ts';
import { type Finding, ok, orOk, problem, warning } from '../core/finding.ts';
import { isHindrance } from '../core/reference.ts';
import { type Account, ENTER, grants } from '../core/permissions.ts';
import { isFilePool, openTrash } from '../execute/pool-trash.ts';
import { lookupQemuUser } from '../libvirt/qemu-user.ts';
import { poolSpace } from '../libvirt/storage-pool.ts';
import { accountOf } from '../state/accounts.ts';
import { ensurePrivateDir } from '../state/private-dir.ts';
import { fileError } from '../state/file-error.ts';
import { findMisplaced, isHarmful, misplacementText } from '../usage/directories.ts';
import type { PoolLocality } from '../usage/locality.ts';
import type { PoolPatient } from './health.ts';

/** Below this share of its size, a pool is as good as full. */
const LEAST_FREE_PERCENT = 5n;
/** The state takes up some megabytes, and a run needs room to write it anew. */
const LEAST_STATE_BYTES = 64n * 1024n * 1024n;

/** Whether poolkeeper can write to a directory of its own, and nobody else can who should not. */
export async function checkPlace(what: string, path: string, uid: number): Promise<readonly Finding[]> {
  return [await examinePlace(what, resolve(path), uid)];
}

async function examinePlace(what: string, dir: string, uid: number): Promise<Finding> {
  if (existsSync(dir)) {
    await ensurePrivateDir(dir, { uid });
    if (await isWritable(dir)) return ok(`${what} '${dir}' can be written to`);
    return problem(`${what} '${dir}' cannot be written to`, `run poolkeeper as its owner, or: chown ${uid} '${dir}'`);
  }
  const parent = nearestParent(dir);
  if (await isWritable(parent)) return ok(`${what} '${dir}' will be made by the first run`);
  return problem(`${what} '${dir}' cannot be made in '${parent}'`, `as root: install -d -o ${uid} -m 0750 '${dir}'`);
}

/**
 * Whether metadata files can be written, by whoever owns the directory: it may be uvtool's, which is not as strict as
 * poolkeeper is about its own.
 */
export async function checkMetadataPlace({ paths }: PoolPatient): Promise<readonly Finding[]> {
  const dir = existsSync(paths.metadata) ? paths.metadata : nearestParent(paths.metadata);
  if (await isWritable(dir)) return [ok(`metadata directory '${paths.metadata}' can be written to`)];
  return [problem(`metadata directory '${paths.metadata}' cannot be written to`, 'run poolkeeper as root')];
}

function nearestParent(dir: string): string {
  const parent = dirname(dir);
  return existsSync(parent) ? parent : nearestParent(parent);
}

async function isWritable(dir: string): Promise<boolean> {
  return access(dir, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** Whether QEMU, which libvirt runs as a user of its own, can get at the images of a system-wide libvirt. */
export async function checkReadable({ connection, pool }: PoolPatient): Promise<readonly Finding[]> {
  const { targetPath } = pool;
  if (targetPath === undefined || !new URL(connection.uri).pathname.endsWith('/system')) return [];
  const user = await lookupQemuUser(connection);
  const account = user === undefined ? undefined : await accountOf(user.uid, user.gid);
  return orOk(await closedDirectories(targetPath, account), `QEMU's user can enter '${targetPath}'`);
}

/** The directories on the way to an image, the last included, that a user cannot enter; if it is not known which, not everybody. */
export async function closedDirectories(path: string, account?: Account): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (let dir = resolve(path); dir !== dirname(dir); dir = dirname(dir)) {
    const { mode, uid, gid } = await stat(dir).catch((cause: unknown) => {
      throw fileError(`cannot look at '${dir}'`, cause);
    });
    const isOpen =
      account === undefined
        ? (mode & constants.S_IXOTH) !== 0
        : grants({ mode, owner: uid, group: gid }, account, ENTER);
    if (!isOpen)
      findings.push(
        warning(`QEMU's user may not be able to enter '${dir}' on the way to the images`, `chmod o+x '${dir}'`),
      );
  }
  return findings;
}

/** Whether poolkeeper's own directories keep out of the way of every pool. */
export async function checkDirectories({ pool, directories, sight }: PoolPatient): Promise<readonly Finding[]> {
  if (!sight.gathered.places.isLocal) return [];
  const findings = (await findMisplaced(directories, sight.gathered.pools)).flatMap((each): readonly Finding[] => {
    if (isHarmful(each, pool.name))
      return [problem(misplacementText(each), `name a directory outside of every pool in the configuration`)];
    // Pools are made of any folder, such as a home directory, by virt-manager.
    return each.where === 'inside' ? [ok(`${misplacementText(each)}, where it does no harm`)] : [];
  });
  return orOk(findings, 'the directories of poolkeeper lie outside of every storage pool');
}

/** Whether the files of the pool are files of this host, and which test failed if they are not. */
export function checkLocality({ pool, sight }: PoolPatient): readonly Finding[] {
  const { pools } = sight.gathered.places;
  return [...pools]
    .toSorted(([a], [b]) => Number(b === pool.name) - Number(a === pool.name))
    .flatMap(([name, locality]) => {
      if (name !== pool.name) return locality.is === 'elsewhere' ? [foreignFiles(name, locality)] : [];
      switch (locality.is) {
        case 'here':
          return [ok(`the files of storage pool '${name}' are those of this host (${locality.compared} compared)`)];
        case 'empty':
          return [ok(`storage pool '${name}' has no volume to compare with the files of this host`)];
        case 'unproven':
        case 'elsewhere':
          return [foreignFiles(name, locality)];
      }
    });
}

function foreignFiles(name: string, locality: Exclude<PoolLocality, { readonly is: 'here' | 'empty' }>): Finding {
  const test = locality.is === 'elsewhere' && locality.test === 'host name' ? 'the name of the host' : 'its volumes';
  return warning(
    `storage pool '${name}' is not proven to be of this host, by ${test}: ${locality.why}; nothing is deleted from it`,
    'run poolkeeper on the host that libvirt runs on, as root',
  );
}

/** Whether this run may delete from the pool at all, whatever needs its images. */
export function checkDeletion({ pool, sight, uid }: PoolPatient): readonly Finding[] {
  const { is } = sight.gathered.places.pools.get(pool.name) ?? { is: 'empty' };
  if (is === 'elsewhere' || is === 'unproven') return [];
  const hindrances = sight.gathered.graph.blindSpots.filter((spot) => isHindrance(spot) && spot.kind !== 'remote');
  const findings = hindrances.map(({ what, cause, remedy }) =>
    warning(`nobody can tell ${what}: ${cause}; nothing of it is deleted`, remedy),
  );
  return orOk(findings, `user ${uid} may delete from storage pool '${pool.name}'`);
}

/** Whether deletions can be taken back. */
export function checkTrash({ pool, uid, sight }: PoolPatient): readonly Finding[] {
  const { is } = sight.gathered.places.pools.get(pool.name) ?? { is: 'empty' };
  if (!isFilePool(pool) || is === 'elsewhere' || is === 'unproven') return [];
  try {
    using trash = openTrash({ pool, uid });
    const refusals = trash.places.map((place) => [place, trash.foresee(place)] as const);
    const fit = refusals.find(([, refusal]) => refusal === undefined);
    if (fit !== undefined) return [ok(`what is deleted is kept for a while in '${fit[0]}'`)];
    const list = refusals.map(([place, refusal]) => `${place}: ${refusal ?? ''}`).join(', ');
    return [
      warning(
        `what is deleted from storage pool '${pool.name}' cannot be brought back: there is no place for a trash (${list})`,
        'let the folder above the pool be on the same file system, and be writable for the owner of the pool',
      ),
    ];
  } catch (cause) {
    throw fileError(`cannot open the folder of storage pool '${pool.name}'`, cause);
  }
}

/** Whether there is room for what comes next. */
export async function checkSpace(patient: PoolPatient): Promise<readonly Finding[]> {
  const { connection, pool, reserveBytes, stateDir } = patient;
  const { capacityBytes, availableBytes } = await poolSpace(connection, pool.name);
  const free = `${formatBytes(availableBytes)} of ${formatBytes(capacityBytes)} are free in storage pool '${pool.name}'`;
  const fix = `'poolkeeper gc --dry-run' shows what could go`;
  const state = await freeState(stateDir);
  if (capacityBytes === 0n) return [ok(`storage pool '${pool.name}' does not tell how large it is`), ...state];
  if (availableBytes < reserveBytes)
    return [problem(`only ${free}, less than the reserve of ${formatBytes(reserveBytes)}`, fix), ...state];
  if (availableBytes * 100n < capacityBytes * LEAST_FREE_PERCENT) return [warning(`only ${free}`, fix), ...state];
  return [ok(free), ...state];
}

async function freeState(dir: string): Promise<readonly Finding[]> {
  const { bavail, bsize } = await statfs(existsSync(dir) ? dir : nearestParent(resolve(dir)), { bigint: true });
  const freeBytes = bavail * bsize;
  if (freeBytes >= LEAST_STATE_BYTES) return [];
  const message = `only ${formatBytes(freeBytes)} are free where the state is, in '${dir}'`;
  return [problem(message, 'make room on that file system')];
}
