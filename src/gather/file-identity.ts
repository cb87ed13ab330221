import { type BigIntStats } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { posix } from 'node:path';
import { baseNameToken } from '../core/reference-tokens.ts';
import type { Token } from '../core/use-graph.ts';

/** What a path on this host stands for. */
export interface FileIdentity {
  readonly tokens: readonly Token[];
  /** The path as it is written, without detours, and with links resolved. */
  readonly paths: readonly string[];
  readonly state: 'file' | 'directory' | 'other' | 'missing' | 'unreadable';
  /** Identifies the directory entry itself, so that one file seen through two pools is one. */
  readonly entry: string | undefined;
  /** The tokens that a reference to a directory shares with everything below it, however each of them is spelled. */
  readonly above: readonly Token[];
  readonly below: readonly Token[];
}

/** Tells what paths stand for; each path is looked at once. */
export interface FileIdentifier {
  /** @param bytes the path where its name is not UTF-8, so that `path` only resembles it. */
  identify(path: string, bytes?: Buffer): Promise<FileIdentity>;
}

type Look = (path: string, bytes: Buffer) => Promise<FileIdentity>;
type Status = BigIntStats | 'other' | 'missing' | 'unreadable';

/** Looks at what a path leads to, links followed. */
type StatusOf = (path: Buffer) => Promise<Status>;

/** Longer paths cannot be opened (limits.h). */
const PATH_MAX = 4096;

/** What the system's refusals mean. By the last two codes nobody can open the path; every other one is about us alone. */
const REFUSALS: ReadonlyMap<unknown, 'missing' | 'other'> = new Map([
  ['ENOENT', 'missing'],
  ['ENOTDIR', 'missing'],
  ['ELOOP', 'other'],
  ['ENAMETOOLONG', 'other'],
]);

/**
 * Looks at paths on this host. A reference is compared by the path as written, by its real path, by inode and by device
 * number, since libvirt keeps paths unchanged and QEMU opens whatever they lead to.
 */
export function localFiles(): FileIdentifier {
  const folders = new Map<string, Promise<Status>>();
  const statusOfFolder: StatusOf = (path) => remembered(folders, path.toString('latin1'), () => statusOf(path));
  return memoised((path, bytes) => lookAt(path, bytes, statusOfFolder));
}

/**
 * For a libvirt on another host: paths can only be compared as text. Links in their folders cannot be seen, so files of one
 * name may be the same.
 */
export function remoteFiles(): FileIdentifier {
  return memoised((path) => {
    const paths = [...new Set([path, normalised(path)])];
    return Promise.resolve({
      tokens: [...paths.flatMap(pathTokens), baseNameToken(normalised(path))],
      paths,
      state: 'unreadable',
      entry: normalised(path),
      above: [],
      below: [],
    });
  });
}

/**
 * The tokens of a path. XML parsers return a blank for a line break or a tab that libvirt wrote into an attribute, so
 * every path also goes by a form in which all white space is alike.
 */
export function pathTokens(path: string): readonly Token[] {
  return [`path:${path}`, `blank:${path.trim().replaceAll(/\s+/g, ' ')}`];
}

async function lookAt(path: string, bytes: Buffer, statusOfFolder: StatusOf): Promise<FileIdentity> {
  const status = await statusOf(bytes);
  const real = await realPathOf(bytes);
  const paths = [...new Set([path, normalised(path), ...(real === undefined ? [] : [real])])];
  const isThere = typeof status === 'object';
  return {
    tokens: [...paths.flatMap(pathTokens), ...(isThere ? inodeTokens(status) : [])],
    paths,
    state: isThere ? kindOf(status) : status,
    entry: await entryOf(bytes, statusOfFolder),
    above: await folderTokens(paths, statusOfFolder),
    below: isThere && status.isDirectory() ? [belowToken(status)] : [],
  };
}

function memoised(look: Look): FileIdentifier {
  const known = new Map<string, Promise<FileIdentity>>();
  return {
    identify: (path, bytes = Buffer.from(path)) => remembered(known, bytes.toString('latin1'), () => look(path, bytes)),
  };
}

function remembered<T>(known: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const found = known.get(key) ?? make();
  known.set(key, found);
  return found;
}

async function statusOf(path: Buffer): Promise<Status> {
  try {
    return await stat(path, { bigint: true });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    return REFUSALS.get(code) ?? 'unreadable';
  }
}

/** The real path; of a file that does not exist, the place where it would be. */
async function realPathOf(path: Buffer): Promise<string | undefined> {
  try {
    return await realpath(path);
  } catch {
    const text = path.toString();
    const directory = await realpath(posix.dirname(text)).catch(() => undefined);
    return directory === undefined ? undefined : posix.join(directory, posix.basename(text));
  }
}

async function entryOf(path: Buffer, statusOfFolder: StatusOf): Promise<string | undefined> {
  const text = path.toString('latin1');
  const directory = await statusOfFolder(Buffer.from(posix.dirname(text), 'latin1'));
  return typeof directory === 'object' ? `${directory.dev}:${directory.ino}/${posix.basename(text)}` : undefined;
}

/** One token for each directory above any of the paths. Links and mounts make them more than the paths show. */
async function folderTokens(paths: readonly string[], statusOfFolder: StatusOf): Promise<readonly Token[]> {
  const folders = new Set(paths.filter(({ length }) => length <= PATH_MAX).flatMap(foldersAbove));
  const statuses = await Promise.all([...folders].map((folder) => statusOfFolder(Buffer.from(folder))));
  return [...new Set(statuses.flatMap((status) => (typeof status === 'object' ? [belowToken(status)] : [])))];
}

function foldersAbove(path: string): readonly string[] {
  const folders: string[] = [];
  for (let folder = path; folder.startsWith('/') && folder !== '/';) {
    folder = posix.dirname(folder);
    folders.push(folder);
  }
  return folders;
}

function belowToken({ dev, ino }: BigIntStats): Token {
  return `below:${dev}:${ino}`;
}

function inodeTokens(status: BigIntStats): readonly Token[] {
  const inode = `inode:${status.dev}:${status.ino}`;
  return status.isBlockDevice() ? [inode, `device:${status.rdev}`] : [inode];
}

function kindOf(status: BigIntStats): 'file' | 'directory' | 'other' {
  if (status.isDirectory()) return 'directory';
  return status.isFile() || status.isBlockDevice() ? 'file' : 'other';
}

/** Without detours as a string, and without a slash at its end. */
function normalised(path: string): string {
  const plain = posix.normalize(path);
  return plain.length > 1 && plain.endsWith('/') ? plain.slice(0, -1) : plain;
}
