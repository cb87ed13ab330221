import { type BigIntStats } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { posix } from 'node:path';
import type { Token } from '../core/use-graph.ts';

/** What a path on this host stands for. */
export interface FileIdentity {
  readonly tokens: readonly Token[];
  /** The path as it is written, without detours, and with links resolved. */
  readonly paths: readonly string[];
  readonly state: 'file' | 'directory' | 'other' | 'missing' | 'unreadable';
  /** Identifies the directory entry itself, so that one file seen through two pools is one. */
  readonly entry: string | undefined;
}

/** Tells what paths stand for; each path is looked at once. */
export interface FileIdentifier {
  identify(path: string): Promise<FileIdentity>;
}

/**
 * Looks at paths on this host. A reference is compared by the path as written, by its real path, by inode and by device
 * number, since libvirt keeps paths unchanged and QEMU opens whatever they lead to.
 */
export function localFiles(): FileIdentifier {
  return memoised(async (path) => {
    const status = await statOf(path);
    const real = await realPathOf(path);
    const paths = [...new Set([path, posix.normalize(path), ...(real === undefined ? [] : [real])])];
    const isThere = typeof status === 'object';
    return {
      tokens: [...paths.flatMap(pathTokens), ...(isThere ? inodeTokens(status) : [])],
      paths,
      state: isThere ? kindOf(status) : status,
      entry: await entryOf(path),
    };
  });
}

/** For a libvirt on another host: paths can only be compared as text. */
export function remoteFiles(): FileIdentifier {
  return memoised((path) => {
    const paths = [...new Set([path, posix.normalize(path)])];
    return Promise.resolve({
      tokens: paths.flatMap(pathTokens),
      paths,
      state: 'unreadable',
      entry: posix.normalize(path),
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

function memoised(look: (path: string) => Promise<FileIdentity>): FileIdentifier {
  const known = new Map<string, Promise<FileIdentity>>();
  return {
    identify: (path) => {
      const found = known.get(path) ?? look(path);
      known.set(path, found);
      return found;
    },
  };
}

async function statOf(path: string): Promise<BigIntStats | 'missing' | 'unreadable'> {
  try {
    return await stat(path, { bigint: true });
  } catch (error) {
    return isAbsent(error) ? 'missing' : 'unreadable';
  }
}

/** The real path; of a file that does not exist, the place where it would be. */
async function realPathOf(path: string): Promise<string | undefined> {
  try {
    return await realpath(path);
  } catch {
    const directory = await realpath(posix.dirname(path)).catch(() => undefined);
    return directory === undefined ? undefined : posix.join(directory, posix.basename(path));
  }
}

async function entryOf(path: string): Promise<string | undefined> {
  const directory = await statOf(posix.dirname(path));
  return typeof directory === 'object' ? `${directory.dev}:${directory.ino}/${posix.basename(path)}` : undefined;
}

function inodeTokens(status: BigIntStats): readonly Token[] {
  const inode = `inode:${status.dev}:${status.ino}`;
  return status.isBlockDevice() ? [inode, `device:${status.rdev}`] : [inode];
}

function kindOf(status: BigIntStats): 'file' | 'directory' | 'other' {
  if (status.isDirectory()) return 'directory';
  return status.isFile() || status.isBlockDevice() ? 'file' : 'other';
}

/** Only these two codes say that there is no such file; all others say that it could not be seen. */
function isAbsent(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ENOENT' || code === 'ENOTDIR';
}
