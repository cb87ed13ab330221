import { type BigIntStats, lstatSync, realpathSync, statSync } from 'node:fs';
import { posix } from 'node:path';
import { baseNameToken } from '../core/reference-tokens.ts';
import type { Token } from '../core/use-graph.ts';
import { errnoCode } from '../util/errno.ts';

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
  identify(path: string, bytes?: Buffer): FileIdentity;
}

type Look = (path: string, bytes: Buffer) => FileIdentity;
type Status = BigIntStats | 'other' | 'missing' | 'unreadable';

/** Looks at what a folder leads to, links followed. Its path is given byte by byte, as Latin-1. */
type StatusOf = (folder: string) => Status;

/** The tokens of a folder and of all above it. */
type TokensAbove = (folder: string) => readonly Token[];

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
 *
 * Every look waits for the file system: libvirt has just looked at the same files, and handing such a call to another thread
 * costs many times what it takes.
 */
export function localFiles(): FileIdentifier {
  const folders = new Map<string, Status>();
  const above = new Map<string, readonly Token[]>();
  const statusOfFolder: StatusOf = (folder) =>
    remembered(folders, folder, () => statusOf(Buffer.from(folder, 'latin1')));
  const tokensAbove: TokensAbove = (folder) =>
    remembered(above, folder, () => folderTokens(folder, statusOfFolder, tokensAbove));
  const realFolders = new Map<string, string | undefined>();
  const realFolder: RealFolder = (folder) => remembered(realFolders, folder, () => resolved(folder));
  return memoised((path, bytes) => lookAt(path, bytes, { statusOfFolder, realFolder, tokensAbove }));
}

/** What a path leads to, and its real path; of a file that does not exist, the place where it would be. */
interface Found {
  readonly status: Status;
  readonly real: string | undefined;
}

/** The real path of a folder. */
type RealFolder = (folder: string) => string | undefined;

/** What is remembered of folders. */
interface Folders {
  readonly statusOfFolder: StatusOf;
  readonly realFolder: RealFolder;
  readonly tokensAbove: TokensAbove;
}

/**
 * For a libvirt on another host: paths can only be compared as text. Links in their folders cannot be seen, so files of one
 * name may be the same.
 */
export function remoteFiles(): FileIdentifier {
  return memoised((path) => {
    const paths = distinct([path, normalised(path)]);
    return {
      tokens: [...paths.flatMap(pathTokens), baseNameToken(normalised(path))],
      paths,
      state: 'unreadable',
      entry: normalised(path),
      above: [],
      below: [],
    };
  });
}

/**
 * The tokens of a path. XML parsers return a blank for a line break or a tab that libvirt wrote into an attribute, so
 * every path also goes by a form in which all white space is alike.
 */
export function pathTokens(path: string): readonly Token[] {
  const blank = /\s/.test(path) ? path.trim().replaceAll(/\s+/g, ' ') : path;
  return [`path:${path}`, `blank:${blank}`];
}

function lookAt(path: string, bytes: Buffer, { statusOfFolder, realFolder, tokensAbove }: Folders): FileIdentity {
  const { status, real } = plainFile(path, bytes, realFolder) ?? { status: statusOf(bytes), real: realPathOf(bytes) };
  const paths = distinct(real === undefined ? [path, normalised(path)] : [path, normalised(path), real]);
  const isThere = typeof status === 'object';
  return {
    tokens: [...paths.flatMap(pathTokens), ...(isThere ? inodeTokens(status) : [])],
    paths,
    state: isThere ? kindOf(status) : status,
    entry: entryOf(byteWise(path, bytes), statusOfFolder),
    above: distinct(paths.flatMap((each) => (hasFolder(each) ? tokensAbove(posix.dirname(each)) : []))),
    below: isThere && status.isDirectory() ? [belowToken(status)] : [],
  };
}

/** What is no link is by its own name in the real folder: one look instead of two, of which one goes from link to link. */
function plainFile(path: string, bytes: Buffer, realFolder: RealFolder): Found | undefined {
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (!path.startsWith('/') || /^\.{0,2}$/.test(name)) return undefined;
  const status = lookedUp(() => lstatSync(bytes, { bigint: true }));
  const folder = status === undefined || status.isSymbolicLink() ? undefined : realFolder(posix.dirname(path));
  const isText = ASCII.test(path) || Buffer.from(path).equals(bytes);
  if (status === undefined || folder === undefined || !isText) return undefined;
  return { status, real: folder.endsWith('/') ? folder + name : `${folder}/${name}` };
}

/** What is the same in UTF-8 and in Latin-1. */
const ASCII = /^[\0-\x7F]*$/;

/** The bytes of a path as Latin-1, so that they can be a key. */
function byteWise(path: string, bytes?: Buffer): string {
  return ASCII.test(path) ? path : (bytes ?? Buffer.from(path)).toString('latin1');
}

function memoised(look: Look): FileIdentifier {
  const known = new Map<string, FileIdentity>();
  return {
    identify: (path, bytes) => remembered(known, byteWise(path, bytes), () => look(path, bytes ?? Buffer.from(path))),
  };
}

function distinct<T>(values: readonly T[]): readonly T[] {
  return values.length < 2 ? values : [...new Set(values)];
}

function remembered<T>(known: Map<string, T>, key: string, make: () => T): T {
  const found = known.get(key);
  if (found !== undefined) return found;
  const made = make();
  known.set(key, made);
  return made;
}

function statusOf(path: Buffer): Status {
  try {
    return statSync(path, { bigint: true });
  } catch (error) {
    const code = errnoCode(error);
    return REFUSALS.get(code) ?? 'unreadable';
  }
}

/** The real path; of a file that does not exist, the place where it would be. */
function realPathOf(path: Buffer): string | undefined {
  const real = resolved(path);
  if (real !== undefined) return real;
  const text = path.toString();
  const directory = resolved(posix.dirname(text));
  return directory === undefined ? undefined : posix.join(directory, posix.basename(text));
}

function resolved(path: Buffer | string): string | undefined {
  return lookedUp(() => realpathSync.native(path));
}

function lookedUp<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

function entryOf(path: string, statusOfFolder: StatusOf): string | undefined {
  const directory = statusOfFolder(posix.dirname(path));
  return typeof directory === 'object' ? `${directory.dev}:${directory.ino}/${posix.basename(path)}` : undefined;
}

function hasFolder(path: string): boolean {
  return path.length <= PATH_MAX && path.startsWith('/') && path !== '/';
}

/** One token for a folder, one for each above it. Links and mounts make them more than the paths show. */
function folderTokens(folder: string, statusOfFolder: StatusOf, tokensAbove: TokensAbove): readonly Token[] {
  const status = statusOfFolder(byteWise(folder));
  const own = typeof status === 'object' ? [belowToken(status)] : [];
  return hasFolder(folder) ? [...own, ...tokensAbove(posix.dirname(folder))] : own;
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
  // Nearly no path has a detour, and looking for its absence is many times as fast.
  if (/^(?:\/[^/.][^/]*)+$/.test(path)) return path;
  const plain = posix.normalize(path);
  return plain.length > 1 && plain.endsWith('/') ? plain.slice(0, -1) : plain;
}
