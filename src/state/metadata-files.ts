import { mkdtemp, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { FlatItem } from '../core/filter.ts';
import { decodeMetadataName, encodeMetadataName, type Identity } from '../core/identity.ts';
import { IntegrityError, PoolkeeperError } from '../errors.ts';
import { errnoCode } from '../util/errno.ts';
import { readFileBounded, removeFileDurably, removeTemporaryFiles, writeFileAtomic } from './atomic-file.ts';
import { fileError } from './file-error.ts';
import { parseJsonObject, toFlatItem } from './json-fields.ts';
import { attempt, listDirectory, type UnreadableFile } from './listing.ts';
import { makeOpenDirectory } from '../util/make-directory.ts';
import { setAside } from './set-aside.ts';

const MAX_BYTES = 1024 * 1024;
const FILE_MODE = 0o664;
const DIR_MODE = 0o775;
const STAGING_PREFIX = '.poolkeeper-';

/** One image that is offered to new domains, as uvtool sees it. */
export interface MetadataFile {
  readonly name: string;
  readonly identity: Identity;
  readonly item: FlatItem;
  readonly mtimeMs: number;
}

/** Everything in a metadata directory. */
export interface MetadataFiles {
  readonly files: readonly MetadataFile[];
  /** Files with names that are not uvtool's. Any of them stops uvtool; none is poolkeeper's to touch. */
  readonly undecodable: readonly string[];
  /** Files that should describe an image and do not. `IntegrityError` means damaged, all else may pass. */
  readonly unreadable: readonly UnreadableFile[];
}

/**
 * Reads all metadata files in a directory, in the order of their names; a directory that is not there has none. Nothing
 * but regular files is opened, and sub-directories with other names are passed over, as uvtool does.
 *
 * @throws FailureError when the directory cannot be listed.
 */
export async function readMetadataFiles(dir: string): Promise<MetadataFiles> {
  const files: MetadataFile[] = [];
  const undecodable: string[] = [];
  const unreadable: UnreadableFile[] = [];
  for (const entry of await listDirectory(dir)) {
    const identity = decodeMetadataName(entry.name);
    if (identity === undefined) {
      if (!entry.isDirectory()) undecodable.push(entry.name);
      continue;
    }
    const file = await attempt(() => readMetadataFile(dir, entry.name, identity));
    if (file instanceof PoolkeeperError) unreadable.push({ name: entry.name, error: file });
    else if (file !== undefined) files.push(file);
  }
  return { files, undecodable, unreadable };
}

/**
 * Offers an image: writes its metadata file as uvtool would. The directory is made if it is not there. Tags that
 * `uvt-simplestreams-libvirt query` looks up without a guard are added empty when missing, and the identity wins over
 * tags that name another one.
 *
 * @throws NoSpaceError, FailureError; the image is then offered as it was before.
 */
export async function writeMetadataFile(dir: string, identity: Identity, tags: FlatItem): Promise<void> {
  const path = join(dir, encodeMetadataName(identity));
  try {
    // QEMU's user has to get through to the images beside it, and every user's uvt-kvm reads it.
    makeOpenDirectory(dir, DIR_MODE);
    const { gid } = await stat(dir);
    // Any stray file in this directory stops uvtool, any stray sub-directory does not.
    const stagingDir = await mkdtemp(join(dir, STAGING_PREFIX));
    try {
      await writeFileAtomic(path, encodeMetadata(identity, tags), { mode: FILE_MODE, gid, stagingDir });
    } finally {
      await rmdir(stagingDir);
    }
  } catch (cause) {
    throw fileError(`cannot write '${path}'`, cause);
  }
}

/** Stops offering an image. One that is not offered is left as it is. */
export async function removeMetadataFile(dir: string, identity: Identity): Promise<void> {
  await removeFileDurably(join(dir, encodeMetadataName(identity)));
}

/** Moves a damaged metadata file out of uvtool's way, below `asideRoot`, and returns where it went. */
export async function setAsideMetadataFile(dir: string, name: string, asideRoot: string): Promise<string> {
  return await setAside(join(dir, name), asideRoot);
}

/** Removes what killed processes left of unfinished writes. Only for the holder of the pool's lock. */
export async function removeMetadataStaging(dir: string): Promise<void> {
  for (const entry of await listDirectory(dir)) {
    if (!entry.isDirectory() || !entry.name.startsWith(STAGING_PREFIX)) continue;
    const stagingDir = join(dir, entry.name);
    await removeTemporaryFiles(stagingDir);
    await rmdir(stagingDir).catch((cause: unknown) => {
      // Not all of it is ours, and it disturbs nobody.
      if (errnoCode(cause) !== 'ENOTEMPTY') throw fileError(`cannot remove directory '${stagingDir}'`, cause);
    });
  }
}

/** The bytes of Python's `json.dumps(item, indent=4)`, which is how uvtool writes them. */
function encodeMetadata({ product, version }: Identity, tags: FlatItem): Uint8Array {
  const required = { release: '', arch: '', label: '' };
  const item = { ...tags, product_name: product, version_name: version };
  const missing = Object.entries(required).filter(([key]) => !Object.hasOwn(item, key));
  const text = JSON.stringify({ ...item, ...Object.fromEntries(missing) }, undefined, 4);
  const ascii = text.replaceAll(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return new TextEncoder().encode(ascii);
}

async function readMetadataFile(dir: string, name: string, identity: Identity): Promise<MetadataFile | undefined> {
  const path = join(dir, name);
  const file = await readFileBounded(path, MAX_BYTES);
  if (file === undefined) return undefined;
  const item = toFlatItem(parseJsonObject(file.bytes, `metadata file '${path}'`));
  assertOwnName(path, identity, item);
  return { name, identity, item, mtimeMs: file.mtimeMs };
}

function assertOwnName(path: string, { product, version }: Identity, item: FlatItem): void {
  if (item['product_name'] === product && item['version_name'] === version) return;
  throw new IntegrityError(`metadata file '${path}' describes another image than its name`, {
    expected: `${product} ${version}`,
    found: `${item['product_name'] ?? ''} ${item['version_name'] ?? ''}`,
  });
}
