import { type Dirent, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { PoolkeeperError } from '../errors.ts';
import { errnoCode } from '../util/errno.ts';
import { fileError } from './file-error.ts';

/** A file of which only the name is known. */
export interface UnreadableFile {
  readonly name: string;
  readonly error: PoolkeeperError;
}

/**
 * Lists a directory in the order of the names, by a call that waits; one that is not there has no entries.
 *
 * @throws FailureError when it cannot be listed.
 */
export async function listDirectory(dir: string): Promise<readonly Dirent[]> {
  try {
    const entries = readdirSync(dir, { withFileTypes: true });
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (cause) {
    if (errnoCode(cause) === 'ENOENT') return [];
    throw fileError(`cannot read directory '${dir}'`, cause);
  }
}

/** What `read` gives, or the error with which it says that one file cannot be used. Bugs are not caught. */
export async function attempt<T>(read: () => Promise<T>): Promise<T | PoolkeeperError> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof PoolkeeperError) return error;
    throw error;
  }
}

/** Whether a file is JSON by its name; what is still being written has a hidden one. */
export function isJsonName(name: string): boolean {
  return !name.startsWith('.') && name.endsWith('.json');
}

/** What was read of a directory. */
export interface FilesRead<T> {
  readonly found: readonly T[];
  readonly unreadable: readonly UnreadableFile[];
}

/**
 * Reads the files of a directory that have a name of theirs, in the order of the names. One that cannot be used is named, and
 * does not keep the others from being read.
 *
 * @param read gives `undefined` for a file that is gone.
 * @throws FailureError when the directory cannot be listed.
 */
export async function readEach<T>(
  dir: string,
  hasName: (name: string) => boolean,
  read: (path: string, name: string) => Promise<T | undefined>,
): Promise<FilesRead<T>> {
  const found: T[] = [];
  const unreadable: UnreadableFile[] = [];
  for (const { name } of await listDirectory(dir)) {
    if (!hasName(name)) continue;
    const file = await attempt(() => read(join(dir, name), name));
    if (file instanceof PoolkeeperError) unreadable.push({ name, error: file });
    else if (file !== undefined) found.push(file);
  }
  return { found, unreadable };
}
