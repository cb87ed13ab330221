import { createHash } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { UsageError } from '../errors.ts';
import { errnoCode } from '../util/errno.ts';
import { readFileBounded, writeFileAtomic } from './atomic-file.ts';
import { checkFormatVersion, parseJsonObject, stringField } from './json-fields.ts';
import type { PoolStatePaths } from './paths.ts';
import { ensurePrivateDir } from './private-dir.ts';

const FORMAT_VERSION = 1;
const MAX_BYTES = 64 * 1024;

/** The pool whose metadata a directory holds, and the libvirt that it is in. */
export interface MetadataOwner {
  readonly name: string;
  readonly uuid: string;
  readonly uri: string;
}

/**
 * Makes sure that no other pool keeps its metadata in the same directory: each sync would take the metadata of the other
 * pool's images for left-overs. A pool of the same name in the same libvirt is the same one, defined anew.
 *
 * @throws UsageError naming the other pool; IntegrityError, FailureError when it cannot be told.
 */
export async function assertOwnMetadata(paths: PoolStatePaths, pool: MetadataOwner): Promise<void> {
  if (isBesideState(paths)) return;
  const note = await notePath(paths);
  const owner = await readOwner(note);
  if (owner === undefined || isSamePool(owner, pool)) return;
  throw new UsageError(
    `cannot use metadata directory '${paths.metadata}' for storage pool '${pool.name}': it is that of storage pool '${owner.name}' of ${owner.uri}`,
    { hint: `leave --metadata-dir out, or name another; if pool '${owner.name}' is gone for good, remove '${note}'` },
  );
}

/**
 * Remembers that a directory holds the metadata of this pool. It is remembered in the state, because uvtool suffers no other
 * file beside the metadata.
 *
 * @throws as `assertOwnMetadata` does; NoSpaceError.
 */
export async function claimMetadata(paths: PoolStatePaths, pool: MetadataOwner, uid: number): Promise<void> {
  if (isBesideState(paths)) return;
  await assertOwnMetadata(paths, pool);
  const note = await notePath(paths);
  const owner = await readOwner(note);
  if (owner?.uuid === pool.uuid && owner.name === pool.name) return;
  await ensurePrivateDir(notesDir(paths), { uid });
  const text = JSON.stringify({ formatVersion: FORMAT_VERSION, dir: paths.metadata, ...pool }, undefined, 2);
  await writeFileAtomic(note, Buffer.from(`${text}\n`), { mode: 0o640 });
}

/** The usual place is below the pool's own state, where no other pool can have it. */
function isBesideState({ root, metadata }: PoolStatePaths): boolean {
  return metadata === join(root, 'metadata');
}

function isSamePool(a: MetadataOwner, b: MetadataOwner): boolean {
  return a.uuid === b.uuid || (a.name === b.name && a.uri === b.uri);
}

function notesDir({ root }: PoolStatePaths): string {
  return join(root, '../../metadata-dirs');
}

/** By whatever name, a directory is the same. */
async function notePath(paths: PoolStatePaths): Promise<string> {
  const dir = await realPlace(resolve(paths.metadata));
  return join(notesDir(paths), `${createHash('sha256').update(dir).digest('hex')}.json`);
}

/** Where a path leads, also if the last parts of it are not there yet. */
async function realPlace(path: string): Promise<string> {
  const parent = dirname(path);
  return realpath(path).catch(async () => (parent === path ? path : join(await realPlace(parent), basename(path))));
}

async function readOwner(path: string): Promise<MetadataOwner | undefined> {
  const file = await readFileBounded(path, MAX_BYTES).catch((error: unknown) => {
    // Something else is where the state should be: nothing is known yet, and whoever begins to write there says so.
    if (error instanceof Error && errnoCode(error.cause) === 'ENOTDIR') return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  const object = parseJsonObject(file.bytes, `note '${path}'`);
  checkFormatVersion(object, FORMAT_VERSION);
  return { name: stringField(object, 'name'), uuid: stringField(object, 'uuid'), uri: stringField(object, 'uri') };
}
